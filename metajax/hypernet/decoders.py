"""Decoders: from the features of a tensor to its entries, up to a largest number of rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params, check_sizes
from metajax.hypernet.layers import empty_layer, empty_layers
from metajax.nn import draw_normals

Factors = tuple[Float[Array, "*batch rank largest"], Float[Array, "*batch rank largest"]]
"""Two factors of a matrix; the first one is transposed in the product."""
Decoded = Factors | Float[Array, "*batch largest largest"]
"""What a decoder gives: factors of a matrix, or the matrix."""


def low_rank(largest: int, rank: int, *, rectify: bool = False) -> Network:
    """Make LoGAH's decoder, which gives a matrix as two factors (Zhou et al. 2024, 2405.16287).

    ``apply(params, features[*batch, h]) -> (left, right)``, each ``[*batch, rank, largest]``. The
    matrix is ``left.T @ right``, of which :func:`decoded_entries` takes the first rows and columns.
    There are three hidden layers, of ``4 h``, ``8 h`` and ``2 rank**2`` units, the first two with
    ReLU. The last one is read as ``2 rank`` rows of ``rank`` numbers, and one linear layer maps
    each row to ``largest`` numbers. So there are ``36 h**2 + 12 h + (16 h + 2) rank**2 + (rank + 1)
    largest`` parameters: linear in the largest width, where those of :func:`full_matrix` are
    quadratic. An entry depends on its own row and column of the last layer alone. The published
    program reshapes the left factor where it is transposed here; a narrow tensor is then made from
    few of the rows.

    The published program also has a ReLU after the third layer. The factors are then made of
    numbers that are not negative: with rank 16 and 32 features, on average 86% of the square norm
    of a matrix lies in one direction before training. Without this ReLU it is 37%, and training
    gets further in as many steps.

    Args:
      largest: rows and columns of the matrix.
      rank: of the matrix, at most.
      rectify: whether the third layer has a ReLU too, as published.

    Returns:
      The decoder.

    Raises:
      ConfigError: a size is below 1.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import decoded_entries, low_rank
      >>> decoder, features = low_rank(1000, rank=4), jnp.ones((3, 8))
      >>> params = decoder.init(jax.random.key(0), features)
      >>> decoded_entries(decoder.apply(params, features), 20, 30).shape
      (3, 20, 30)
    """
    check_sizes(largest=largest, rank=rank)

    def init(key: Key[Array, ""], features: Float[Array, "*batch h"]) -> Params:
        return _draw(key, features.shape[-1], 2 * rank**2, rank, largest)

    def apply(params: Params, features: Float[Array, "*batch h"]) -> Factors:
        rows = _hidden(params, features, rectify)
        rows = rows.reshape(*features.shape[:-1], 2 * rank, rank)
        both = _linear(params["out"], rows)
        return both[..., :rank, :], both[..., rank:, :]

    return Network(init, apply)


def full_matrix(largest: int) -> Network:
    """Make the decoder that gives all entries of a matrix (GHN-2: Knyazev et al. 2021, 2110.13100).

    ``apply(params, features[*batch, h]) -> [*batch, largest, largest]``. Hidden layers of ``4 h``
    and ``8 h`` units with ReLU come before a linear layer to all entries: ``36 h**2 + 12 h +
    (8 h + 1) largest**2`` parameters. The tiles by which GHN-2 covers larger tensors are left out.

    Args:
      largest: rows and columns of the matrix.

    Returns:
      The decoder.

    Raises:
      ConfigError: ``largest`` is below 1.
    """
    check_sizes(largest=largest)

    def init(key: Key[Array, ""], features: Float[Array, "*batch h"]) -> Params:
        size = features.shape[-1]
        return _draw(key, size, None, 8 * size, largest**2)

    def apply(params: Params, features: Float[Array, "*batch h"]) -> Decoded:
        entries = _linear(params["out"], _hidden(params, features))
        return entries.reshape(*features.shape[:-1], largest, largest)

    return Network(init, apply)


def decoded_entries(
    decoded: Decoded, rows: int, columns: int
) -> Float[Array, "*batch rows columns"]:
    """Return the first rows and columns of decoded matrices.

    Args:
      decoded: what a decoder gave.
      rows: how many to take.
      columns: how many to take.
    """
    if isinstance(decoded, tuple):
        left, right = decoded
        return jnp.swapaxes(left[..., :rows], -1, -2) @ right[..., :columns]
    return decoded[..., :rows, :columns]


def _draw(key: Key[Array, ""], size: int, third: int | None, inputs: int, outputs: int) -> Params:
    """LeCun-normal layers of ``4 size``, ``8 size`` and ``third`` units, and the output layer."""
    params, _ = empty_layers(size, [4 * size, 8 * size, *([] if third is None else [third])])
    return draw_normals(key, {**params, "out": empty_layer(inputs, outputs)})


def _linear(layer: Params, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    return x @ layer["kernel"] + layer["bias"].reshape((1,) * (x.ndim - 1) + (-1,))


def _hidden(
    params: Params, x: Float[Array, "*batch h"], last: bool = True
) -> Float[Array, "*batch units"]:
    """The hidden layers, each with a ReLU, except the last one unless it is asked for."""
    for number in range(len(params) - 1):
        x = _linear(params[f"hidden_{number}"], x)
        x = jax.nn.relu(x) if last or number < len(params) - 2 else x
    return x
