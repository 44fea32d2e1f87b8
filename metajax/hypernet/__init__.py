"""Hypernetworks: the parameters of any target network, generated from latent vectors."""

from metajax.hypernet.autoencoders import (
    VectorAutoencoder,
    autoencoder_loss,
    vector_autoencoder,
)
from metajax.hypernet.coordinates import implicit
from metajax.hypernet.decoders import decoded_entries, full_matrix, low_rank
from metajax.hypernet.diffusion import denoiser, diffusion_loss, sample_diffusion, signal_shares
from metajax.hypernet.drawn_means import drawn_mean
from metajax.hypernet.edit_passes import (
    Edited,
    edit_hypernetwork,
    edit_pass,
    no_deltas,
    refined,
    render_edited,
)
from metajax.hypernet.edits import low_rank_factors, low_rank_update, modulate
from metajax.hypernet.encodings import unit_encoding
from metajax.hypernet.generators import generator
from metajax.hypernet.graph_hypernets import (
    GraphHypernetwork,
    graph_hypernetwork,
    predicted_start,
)
from metajax.hypernet.graph_metanets import fed_loss, graph_metanetwork
from metajax.hypernet.heads import Head, chunked_head, dense_head, low_rank_head
from metajax.hypernet.invariant import magnitude_invariant
from metajax.hypernet.modality_adapters import (
    Columns,
    Pairs,
    modality_adapter,
    solved_columns,
)
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
from metajax.hypernet.shared_widths import shared_implicit

__all__ = [
    "Columns",
    "Edited",
    "GraphHypernetwork",
    "Head",
    "MLPArchitecture",
    "MLPShape",
    "PaddedMLP",
    "Pairs",
    "Principal",
    "ProgramGraph",
    "VectorAutoencoder",
    "autoencoder_loss",
    "chunked_head",
    "decode_principal",
    "decoded_entries",
    "denoiser",
    "dense_head",
    "diffusion_loss",
    "drawn_mean",
    "edit_hypernetwork",
    "edit_pass",
    "encode_principal",
    "fed_loss",
    "full_matrix",
    "generator",
    "graph_hypernetwork",
    "graph_metanetwork",
    "implicit",
    "low_rank",
    "low_rank_factors",
    "low_rank_head",
    "low_rank_update",
    "magnitude_invariant",
    "modality_adapter",
    "modulate",
    "no_deltas",
    "padded_mlp",
    "predicted_start",
    "principal_components",
    "program_graph",
    "random_shapes",
    "refined",
    "render_edited",
    "sample_diffusion",
    "shared_head",
    "shared_implicit",
    "signal_shares",
    "solved_columns",
    "unit_encoding",
    "vector_autoencoder",
]
