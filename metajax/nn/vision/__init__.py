"""Vision networks over grids: a Swin Transformer, attention pooling, an embedding of problems."""

from metajax.nn.vision.embedding import grid_embedding
from metajax.nn.vision.pooling import attention_pool
from metajax.nn.vision.swin import swin

__all__ = ["attention_pool", "grid_embedding", "swin"]
