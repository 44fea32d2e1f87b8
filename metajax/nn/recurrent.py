"""Recurrent sequence networks: an LSTM, and one whose cell is a matrix (outer-product LSTM)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key, Shaped

from metajax.core import Params, SequenceNetwork, check_sizes
from metajax.nn.initial import draw_orthogonal


class LSTMState(NamedTuple):
    """What one LSTM layer remembers, of a size that does not grow with the sequence.

    Attributes:
      cell: float32 (or the parameters' dtype where wider): a bfloat16 sum over many steps would
        drop small increments.
      hidden: in the parameters' dtype.
    """

    cell: Float[Array, "*batch width"]
    hidden: Float[Array, "*batch width"]


class OuterProductState(NamedTuple):
    """What an outer-product LSTM remembers: ``width`` squared numbers per head, and its output.

    Attributes:
      cell: float32 (or the parameters' dtype where wider), as in :class:`LSTMState`.
      hidden: in the parameters' dtype; the heads side by side.
    """

    cell: Float[Array, "*batch heads width width"]
    hidden: Float[Array, "*batch heads_x_width"]


State = tuple[LSTMState | OuterProductState, ...]
"""A recurrent network's state: one entry per layer."""


def _cell_dtype(dtype: Any) -> Any:
    return jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype


def _gate_biases(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Zeros, and ones for the second quarter, the forget gates (Gers et al. 2000; Jozefowicz 2015).

    A layer thus starts out remembering: a forget gate of sigmoid(1) = .73 rather than .5.
    """
    (size,) = shape
    return jnp.zeros(shape, dtype).at[size // 4 : size // 2].set(1)


def _orthogonal_gates(key: Any, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """One orthogonal matrix for each of the four gates, side by side."""
    keys = jax.random.split(key, 4)
    return jnp.concatenate([draw_orthogonal(k, shape[0], dtype) for k in keys], 1)


def lstm_step(
    recurrent: Float[Array, "width 4*width"],
    state: LSTMState,
    projected: Float[Array, "*batch 4*width"],
) -> tuple[LSTMState, Float[Array, "*batch width"]]:
    """Take one step of an LSTM: see :func:`lstm`.

    Args:
      recurrent: the hidden state's share of the gates i, f, g and o, side by side.
      state: before the step.
      projected: the input's share of the gates, the bias included.

    Returns:
      The state after it, and its hidden part again, as ``jax.lax.scan`` takes them.
    """
    gates = projected + state.hidden @ recurrent
    i, f, g, o = jnp.split(gates.astype(state.cell.dtype), 4, axis=-1)
    cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    hidden = (jax.nn.sigmoid(o) * jnp.tanh(cell)).astype(state.hidden.dtype)
    return LSTMState(cell, hidden), hidden


class LSTMLayer(nn.Module):
    """One LSTM layer over time-major inputs; its equations are in :func:`lstm`."""

    width: int

    def setup(self):
        self.input = nn.Dense(4 * self.width, bias_init=_gate_biases)
        self.recurrent = self.param("recurrent", _orthogonal_gates, (self.width, 4 * self.width))

    def __call__(self, x):
        """Read ``x [time, *, features]``: the last state, and hidden ``[time, *, width]``."""
        dtype = self.recurrent.dtype
        shape = (*x.shape[1:-1], self.width)
        start = LSTMState(jnp.zeros(shape, _cell_dtype(dtype)), jnp.zeros(shape, dtype))
        # One matmul for all steps; only the hidden state's share must wait for its turn.
        projected = self.input(x.astype(dtype))
        return jax.lax.scan(lambda s, p: lstm_step(self.recurrent, s, p), start, projected)

    def decode(self, state, x):
        """Read one ``x [*, features]``: the next state, and hidden ``[*, width]``."""
        return lstm_step(self.recurrent, state, self.input(x.astype(self.recurrent.dtype)))


def _outer_product_step(recurrent, key_scale, state, projected):
    """One step; ``projected`` is the input's share, ``[*batch, heads * 8 * width]``."""
    *batch, heads, width, _ = state.cell.shape
    mixed = (projected + state.hidden @ recurrent).astype(state.cell.dtype)
    mixed = mixed.reshape(*batch, heads, 8, width)
    rows, columns = jnp.tanh(mixed[..., 0:3, :]), jnp.tanh(mixed[..., 3:6, :])
    rows = rows * jax.nn.softplus(key_scale.astype(rows.dtype)).reshape((1,) * rows.ndim)
    # As dots, not broadcast products: their transposes are matrix-vector products, which made a
    # training step on a CPU 3 to 4 times faster. Bound by memory, they are exact at no cost.
    i, f, g = (
        jnp.einsum("...i,...j->...ij", rows[..., n, :], columns[..., n, :], precision="highest")
        for n in range(3)
    )
    cell = jax.nn.sigmoid(f + 1) * state.cell + jax.nn.sigmoid(i) * g
    query, o = mixed[..., 6, :], mixed[..., 7, :]
    read = jnp.einsum("...ij,...i->...j", cell, query, precision="highest")
    hidden = (jax.nn.sigmoid(o) * jnp.tanh(read)).astype(state.hidden.dtype)
    hidden = hidden.reshape(state.hidden.shape)
    return OuterProductState(cell, hidden), hidden


class OuterProductLSTMLayer(nn.Module):
    """One layer with a matrix for a cell; its equations are in :func:`outer_product_lstm`."""

    width: int
    heads: int

    def setup(self):
        size = self.heads * self.width
        self.input = nn.Dense(8 * size)
        self.recurrent = self.param("recurrent", nn.initializers.lecun_normal(), (size, 8 * size))
        self.key_scale = self.param("key_scale", nn.initializers.zeros_init(), ())

    def _step(self, state, projected):
        return _outer_product_step(self.recurrent, self.key_scale, state, projected)

    def __call__(self, x):
        """Read ``x [time, *, features]``: last state, and hidden ``[time, *, heads * width]``."""
        dtype = self.recurrent.dtype
        batch = x.shape[1:-1]
        start = OuterProductState(
            jnp.zeros((*batch, self.heads, self.width, self.width), _cell_dtype(dtype)),
            jnp.zeros((*batch, self.heads * self.width), dtype),
        )
        # The backward pass keeps one matrix a step, the cell, and computes the gates again: less
        # memory, and on a CPU less time than reading them back.
        return jax.lax.scan(jax.checkpoint(self._step), start, self.input(x.astype(dtype)))

    def decode(self, state, x):
        """Read one ``x [*, features]``: the next state, and hidden ``[*, heads * width]``."""
        return self._step(state, self.input(x.astype(self.recurrent.dtype)))


class Recurrent(nn.Module):
    """Recurrent layers, each reading the hidden states of the one below, and a linear head."""

    layers: tuple[Any, ...]
    num_outputs: int

    def setup(self):
        self.head = nn.Dense(self.num_outputs)

    def _read(self, tokens):
        x = jnp.moveaxis(tokens, -2, 0)
        states = []
        for layer in self.layers:
            state, x = layer(x)
            states.append(state)
        return x, tuple(states)

    def __call__(self, tokens):
        """Outputs at every position of ``tokens [*, time, features]``."""
        return jnp.moveaxis(self.head(self._read(tokens)[0]), 0, -2)

    def prefill(self, tokens):
        """The layers' states after reading ``tokens [*, time, features]``; ``time`` may be 0."""
        return self._read(tokens)[1]

    def decode(self, states, token):
        """Outputs for the next ``token [*, features]``, and the states that hold it."""
        x, read = token, []
        for layer, state in zip(self.layers, states, strict=True):
            state, x = layer.decode(state, x)
            read.append(state)
        return self.head(x), tuple(read)


def _network(layers: tuple[Any, ...], num_outputs: int) -> SequenceNetwork:
    module = Recurrent(layers, num_outputs)

    def init(key: Key[Array, ""], tokens: Shaped[Array, "*batch time features"]) -> Params:
        return module.init(key, tokens)["params"]

    def run(params: Params, *args: Any, method: str) -> Any:
        return module.apply({"params": params}, *args, method=method)

    def apply(
        params: Params, tokens: Shaped[Array, "*batch time features"]
    ) -> Float[Array, "*batch time outputs"]:
        return run(params, tokens, method="__call__")

    def prefill(params: Params, tokens: Shaped[Array, "*batch time features"]) -> State:
        return run(params, tokens, method="prefill")

    def decode(
        params: Params, state: State, token: Shaped[Array, "*batch features"]
    ) -> tuple[Float[Array, "*batch outputs"], State]:
        return run(params, state, token, method="decode")

    return SequenceNetwork(init, apply, prefill, decode)


def lstm(*, num_outputs: int, width: int, layers: int = 1) -> SequenceNetwork:
    """Make an LSTM over sequences of real-valued tokens, with a linear head.

    With input ``x``, hidden ``h`` and cell ``c``, per layer (Hochreiter and Schmidhuber 1997, with
    the forget gate of Gers et al. 2000)::

        [i, f, g, o] = x W + h U + b
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    ``W`` starts LeCun-normal, each of the four squares of ``U`` orthogonal, ``b`` at 1 for the
    forget gates and 0 elsewhere; the state starts at zero. Matmuls run in the dtype of the
    parameters, to which tokens are cast; the gates and the cell are float32 or wider.

    Args:
      num_outputs: numbers predicted at each position, e.g. classes.
      width: size of the hidden state and of the cell of each layer.
      layers: how many layers, each reading the hidden states of the one below.

    Returns:
      A :class:`metajax.core.SequenceNetwork` whose state is one :class:`LSTMState` per layer.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(num_outputs=num_outputs, width=width, layers=layers)
    return _network(tuple(LSTMLayer(width) for _ in range(layers)), num_outputs)


def outer_product_lstm(*, num_outputs: int, width: int, heads: int = 1) -> SequenceNetwork:
    """Make an LSTM whose cell is a matrix per head: a state of O(width^2) for a step of O(width^2).

    The outer-product LSTM of GPICL (Kirsch et al. 2022, arXiv 2212.04458). The cell ``C`` of an
    LSTM becomes a matrix, written by outer products and read with a query. With input ``x`` and
    hidden ``h`` (the heads side by side), per head::

        [a_i, a_f, a_g, b_i, b_f, b_g, q, o] = x W + h U + b          vectors of size width
        I, F, G = s tanh(a_n) tanh(b_n)^T,  s = softplus(key_scale)   n = i, f, g
        C' = sigmoid(F + 1) * C + sigmoid(I) * G                      elementwise
        h' = sigmoid(o) * tanh(C'^T q)

    The paper's words leave open which parts become outer products. Here the gates ``I`` and ``F``
    do too, as in the OuterLSTM cell that Google Research released for JAX in 2021. The forget bias
    is 1, and one learned ``key_scale`` (from 0, so s = .69) scales all three. The initialization is
    our own choice: ``W`` and ``U`` start LeCun-normal, each by its own fan-in, ``b`` and the state
    at zero. Matmuls run in the dtype of the parameters, to which tokens are cast; the gates and the
    cell are float32 or wider.

    Args:
      num_outputs: numbers predicted at each position, e.g. classes.
      width: rows and columns of a head's matrix; the hidden state has ``heads * width`` numbers.
      heads: matrices kept side by side.

    Returns:
      A :class:`metajax.core.SequenceNetwork` whose state is a tuple of one
      :class:`OuterProductState`.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(num_outputs=num_outputs, width=width, heads=heads)
    return _network((OuterProductLSTMLayer(width, heads),), num_outputs)
