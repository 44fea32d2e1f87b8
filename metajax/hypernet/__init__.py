"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.coordinates import implicit
from metajax.hypernet.decoders import decoded_entries, full_matrix, low_rank
from metajax.hypernet.diffusion import denoiser, diffusion_loss, sample_diffusion, signal_shares
from metajax.hypernet.edits import low_rank_factors, low_rank_update, modulate
from metajax.hypernet.encodings import unit_encoding
from metajax.hypernet.generators import generator
from metajax.hypernet.graph_hypernets import (
    GraphHypernetwork,
    graph_hypernetwork,
    predicted_start,
)
from metajax.hypernet.heads import Head, chunked_head, dense_head, low_rank_head
from metajax.hypernet.invariant import magnitude_invariant
from metajax.hypernet.padded_mlps import (
    MLPArchitecture,
    MLPShape,
    PaddedMLP,
    padded_mlp,
    random_shapes,
)
from metajax.hypernet.principal import (
    Principal,
    decode_principal,
    encode_principal,
    principal_components,
)
from metajax.hypernet.program_graphs import ProgramGraph, program_graph
from metajax.hypernet.shared_heads import shared_head

__all__ = [
    "GraphHypernetwork",
    "Head",
    "MLPArchitecture",
    "MLPShape",
    "PaddedMLP",
    "Principal",
    "ProgramGraph",
    "chunked_head",
    "decode_principal",
    "decoded_entries",
    "denoiser",
    "dense_head",
    "diffusion_loss",
    "encode_principal",
    "full_matrix",
    "generator",
    "graph_hypernetwork",
    "implicit",
    "low_rank",
    "low_rank_factors",
    "low_rank_head",
    "low_rank_update",
    "magnitude_invariant",
    "modulate",
    "padded_mlp",
    "predicted_start",
    "principal_components",
    "program_graph",
    "random_shapes",
    "sample_diffusion",
    "shared_head",
    "signal_shares",
    "unit_encoding",
]
