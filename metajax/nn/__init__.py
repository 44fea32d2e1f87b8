"""Network blocks behind ``Network`` and ``SequenceNetwork``, and adapters for a user's own."""

from metajax.nn.adapters import from_equinox, from_linen, from_nnx
from metajax.nn.mlp import mlp
from metajax.nn.recurrent import LSTMState, OuterProductState, lstm, outer_product_lstm
from metajax.nn.transformer import KVCache, causal_transformer

__all__ = [
    "KVCache",
    "LSTMState",
    "OuterProductState",
    "causal_transformer",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "lstm",
    "mlp",
    "outer_product_lstm",
]
