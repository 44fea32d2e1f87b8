"""Vision networks over grids: Swin Transformer, U-Net decoder, attention pooling, an embedding."""

from metajax.nn.vision.embedding import grid_embedding
from metajax.nn.vision.pooling import attention_pool
from metajax.nn.vision.swin_transformer import swin
from metajax.nn.vision.unet import unet_decoder

__all__ = ["attention_pool", "grid_embedding", "swin", "unet_decoder"]
