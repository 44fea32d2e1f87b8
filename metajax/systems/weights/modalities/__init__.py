"""The condition ``modalities``: modalities of embeddings."""
