"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.generator import generator

__all__ = ["generator"]
