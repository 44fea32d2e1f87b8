"""Network blocks behind ``Network`` and ``SequenceNetwork``, and adapters for a user's own."""

from metajax.nn.adapters import from_equinox, from_linen, from_nnx
from metajax.nn.conv import (
    batch_normalise,
    conv2d,
    conv_block,
    conv_net,
    conv_params,
    max_pool,
)
from metajax.nn.graph import Graph, graph_net, pad_graph
from metajax.nn.initial import draw_normals
from metajax.nn.mlp import mlp
from metajax.nn.recurrent import LSTMState, OuterProductState, lstm, outer_product_lstm
from metajax.nn.transformer import KVCache, causal_transformer

__all__ = [
    "Graph",
    "KVCache",
    "LSTMState",
    "OuterProductState",
    "batch_normalise",
    "causal_transformer",
    "conv2d",
    "conv_block",
    "conv_net",
    "conv_params",
    "draw_normals",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "graph_net",
    "lstm",
    "max_pool",
    "mlp",
    "outer_product_lstm",
    "pad_graph",
]
