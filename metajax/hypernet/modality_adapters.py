"""Adapters of a projector to an unseen modality, generated from pairs of it (SEMI, 2509.04606)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import ConfigError, Network, Params, check_sizes, derive
from metajax.hypernet.edits import low_rank_update
from metajax.nn import positive_solve, token_set_encoder


class Pairs(NamedTuple):
    """Pairs of a modality: what an encoder makes of each thing, and the vector of its text.

    Attributes:
      inputs: embeddings of the modality's encoder.
      texts: vectors of about unit mean square.
      present: which pairs there are; what the others hold is not read.
    """

    inputs: Float[Array, "n features"]
    texts: Float[Array, "n text"]
    present: Bool[Array, " n"]


class Columns(NamedTuple):
    """Linear maps of a modality's embeddings, side by side.

    Attributes:
      kernel: of each column.
      offset: that each column adds.
    """

    kernel: Float[Array, "features columns"]
    offset: Float[Array, " columns"]


def solved_columns(pairs: Pairs, log_ridges: Float[Array, " ridges"]) -> Columns:
    """Return the ridge regressions from embeddings to texts, with several strengths.

    Both are centered, and a ridge is in units of the mean square norm of the centered embeddings.
    Embeddings that are rotated or reflected give the kernel that is, so that what the columns say
    of an embedding is the same. It does not depend on the order of the pairs. The system has the
    size of the smaller side, ``n`` or ``features``. It is formed once for all strengths and solved
    by Cholesky's factor; :func:`metajax.nn.damped_least_squares` keeps more digits, which matter
    for strengths far below those of here, by a QR of the larger side for each strength.

    Args:
      pairs: of a modality.
      log_ridges: logarithms of the strengths.

    Returns:
      ``text`` columns for each strength; zeros where there is no pair.
    """
    here = pairs.present[:, None]
    number = jnp.maximum(jnp.sum(here.astype(pairs.inputs.dtype)), 1)

    def centered(rows: Array) -> tuple[Array, Array]:
        mean = jnp.sum(jnp.where(here, rows, 0), axis=0) / number
        return jnp.where(here, rows - mean[None], 0), mean

    (rows, mean), (texts, _) = centered(pairs.inputs), centered(pairs.texts)
    square = jnp.maximum(jnp.sum(jnp.square(rows)) / number, jnp.finfo(rows.dtype).tiny)
    rows = rows / jnp.sqrt(square)
    dual = rows.shape[0] < rows.shape[1]
    system = rows @ rows.T if dual else rows.T @ rows
    right = texts if dual else rows.T @ texts

    def one(log_ridge: Float[Array, ""]) -> Float[Array, "features text"]:
        eye = jnp.eye(len(system), dtype=system.dtype)
        solution = positive_solve(system + jnp.exp(log_ridge) * eye, right)
        return rows.T @ solution if dual else solution

    kernel = jnp.concatenate([one(log_ridge) for log_ridge in log_ridges], axis=1)
    kernel = kernel / jnp.sqrt(square)
    return Columns(kernel, -mean @ kernel)


def _layers(projector: Params) -> list[str]:
    """The names of a projector's layers, in order."""
    names = sorted(projector)
    for name in names:
        layer = projector[name]
        if set(layer) != {"kernel", "bias"} or layer["kernel"].ndim != 2:
            expected = "dense layers, each with a kernel of two axes and a bias"
            raise ConfigError(f"projector/{name}", sorted(layer), expected)
    return names


def modality_adapter(
    *,
    rank: int,
    width: int,
    depth: int = 2,
    heads: int = 4,
    ridges: Sequence[float] = (),
) -> Network:
    """Make the hypernetwork that adapts a projector to a modality from pairs (arXiv 2509.04606).

    Attention reads the pairs at a learned prefix for each layer. Linear heads make of it the
    factors of :func:`metajax.hypernet.low_rank_update` and what is added to the bias. There are no
    positions, so that the order of pairs does not matter. Zero heads give the projector as it is.

    With ``ridges`` the first layer's left factors are combinations of :func:`solved_columns` in
    place of generated ones. Their starting combination is learned, and the generated low-rank one
    is added to it. Attention then reads what the columns say of each pair in place of its
    embedding. So all that is added to the projector is the same for rotated modalities, without
    rotations in training. This is not in the paper.

    Args:
      rank: of the generated factors.
      width: of the attention, a multiple of ``heads``.
      depth: attention layers.
      heads: of attention.
      ridges: strengths that learning starts from; none: all is generated, as in the paper.

    Returns:
      A network: ``init(key, projector, pairs) -> params`` and ``apply(params, projector, pairs) ->
      projector``. A projector is the parameters of dense layers, such as those of
      :func:`metajax.nn.mlp`.

    Raises:
      ConfigError: a size is below 1, ``width`` is no multiple of ``heads``, or a ridge is not above
        0; from ``init``, a projector of other layers.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import Pairs, modality_adapter
      >>> from metajax.nn import mlp
      >>> projector = mlp([8], 3)
      >>> shared = projector.init(jax.random.key(0), jnp.zeros((1, 5)))
      >>> pairs = Pairs(jnp.ones((4, 5)), jnp.ones((4, 3)), jnp.array([True, True, True, False]))
      >>> adapter = modality_adapter(rank=2, width=8)
      >>> params = adapter.init(jax.random.key(1), shared, pairs)
      >>> adapted = adapter.apply(params, shared, pairs)
      >>> projector.apply(adapted, pairs.inputs).shape
      (4, 3)
    """
    check_sizes(rank=rank, width=width, depth=depth, heads=heads)
    for ridge in ridges:
        if not ridge > 0:
            raise ConfigError("ridges", ridge, "strengths above 0")

    def encoder(layers: int) -> Network:
        return token_set_encoder(
            num_outputs=width, width=width, layers=depth, heads=heads, mlp_ratio=2, prefixes=layers
        )

    def tokens(seen: Array, pairs: Pairs) -> tuple[Array, Array]:
        return jnp.concatenate([seen, pairs.texts], axis=1)[None], pairs.present[None]

    def seen_by(columns: Columns, pairs: Pairs) -> Array:
        """What the columns say of each pair."""
        inputs = jnp.where(pairs.present[:, None], pairs.inputs, 0)
        return inputs @ columns.kernel + columns.offset[None]

    def init(key: Key[Array, ""], projector: Params, pairs: Pairs) -> Params:
        names = _layers(projector)
        first = projector[names[0]]["kernel"]
        params: dict[str, Any] = {"heads": {}}
        seen = pairs.inputs
        if ridges:
            params["log_ridges"] = jnp.log(jnp.asarray(ridges, first.dtype))
            columns = solved_columns(pairs, params["log_ridges"])
            seen, number = seen_by(columns, pairs), len(columns.offset)
            drawn = jax.random.normal(derive(key, "reading"), (number, first.shape[1]), first.dtype)
            params["reading"] = drawn * number**-0.5
        params["encoder"] = encoder(len(names)).init(derive(key, "encoder"), *tokens(seen, pairs))
        for place, name in enumerate(names):
            rows, columns_of = projector[name]["kernel"].shape
            if ridges and place == 0:
                rows = len(params["reading"])
            shape = (width, rows * rank)
            drawn = jax.random.normal(derive(key, "heads", place), shape, first.dtype)
            params["heads"][name] = {
                "left": drawn * (width * rows) ** -0.5,
                "right": jnp.zeros((width, rank * columns_of), first.dtype),
                "bias": jnp.zeros((width, columns_of), first.dtype),
            }
        return params

    def apply(params: Params, projector: Params, pairs: Pairs) -> Params:
        names = _layers(projector)
        columns = solved_columns(pairs, params["log_ridges"]) if ridges else None
        seen = pairs.inputs if columns is None else seen_by(columns, pairs)
        read = encoder(len(names)).apply(params["encoder"], *tokens(seen, pairs))[0]
        a: dict[str, Any] = {}
        b: dict[str, Any] = {}
        shifts: dict[str, Any] = {}
        for place, name in enumerate(names):
            head = params["heads"][name]
            left = (read[place] @ head["left"]).reshape(-1, rank)
            right = (read[place] @ head["right"]).reshape(rank, -1)
            shift = read[place] @ head["bias"]
            if columns is not None and place == 0:
                left, right = columns.kernel, params["reading"] + left @ right
                shift = shift + columns.offset @ right
            a[name], b[name] = {"kernel": left, "bias": None}, {"kernel": right, "bias": None}
            shifts[name] = shift
        adapted = low_rank_update(projector, a, b)
        return {
            name: {**layer, "bias": layer["bias"] + shifts[name]} for name, layer in adapted.items()
        }

    return Network(init, apply)
