"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.chunks import chunk_generator
from metajax.hypernet.encodings import unit_encoding
from metajax.hypernet.generators import generator
from metajax.hypernet.implicit import implicit
from metajax.hypernet.invariant import magnitude_invariant

__all__ = ["chunk_generator", "generator", "implicit", "magnitude_invariant", "unit_encoding"]
