"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.generators import generator

__all__ = ["generator"]
