"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.chunks import chunk_generator
from metajax.hypernet.decoders import decoded_entries, full_matrix, low_rank
from metajax.hypernet.encodings import unit_encoding
from metajax.hypernet.generators import generator
from metajax.hypernet.graph_hypernets import (
    GraphHypernetwork,
    graph_hypernetwork,
    predicted_start,
)
from metajax.hypernet.implicit import implicit
from metajax.hypernet.invariant import magnitude_invariant
from metajax.hypernet.padded_mlps import (
    MLPArchitecture,
    MLPShape,
    PaddedMLP,
    padded_mlp,
    random_shapes,
)
from metajax.hypernet.program_graphs import ProgramGraph, program_graph

__all__ = [
    "GraphHypernetwork",
    "MLPArchitecture",
    "MLPShape",
    "PaddedMLP",
    "ProgramGraph",
    "chunk_generator",
    "decoded_entries",
    "full_matrix",
    "generator",
    "graph_hypernetwork",
    "implicit",
    "low_rank",
    "magnitude_invariant",
    "padded_mlp",
    "predicted_start",
    "program_graph",
    "random_shapes",
    "unit_encoding",
]
