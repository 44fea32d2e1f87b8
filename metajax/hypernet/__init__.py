"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.chunks import chunk_generator
from metajax.hypernet.diffusion import denoiser, diffusion_loss, sample_diffusion, signal_shares
from metajax.hypernet.edits import low_rank_factors, low_rank_update, modulate
from metajax.hypernet.encodings import unit_encoding
from metajax.hypernet.generators import generator
from metajax.hypernet.invariant import magnitude_invariant
from metajax.hypernet.principal import (
    Principal,
    decode_principal,
    encode_principal,
    principal_components,
)

__all__ = [
    "Principal",
    "chunk_generator",
    "decode_principal",
    "denoiser",
    "diffusion_loss",
    "encode_principal",
    "generator",
    "low_rank_factors",
    "low_rank_update",
    "magnitude_invariant",
    "modulate",
    "principal_components",
    "sample_diffusion",
    "signal_shares",
    "unit_encoding",
]
