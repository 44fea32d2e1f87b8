"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.chunks import chunk_generator
from metajax.hypernet.edits import low_rank_factors, low_rank_update, modulate
from metajax.hypernet.generators import generator

__all__ = ["chunk_generator", "generator", "low_rank_factors", "low_rank_update", "modulate"]
