"""Experts: feed-forward layers side by side, of which each row uses a few."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params


def top_k_gates(
    logits: Float[Array, "*batch experts"], k: int, total: float | Float[Array, ""] = 1.0
) -> Float[Array, "*batch experts"]:
    """Return weights of experts: a softmax over the ``k`` largest logits, times ``total``.

    The other weights are 0, and no gradient reaches their logits. Equal logits are chosen in the
    order of the experts (Shazeer et al. 2017, arXiv 1701.06538, section 2.1, without noise).

    Args:
      logits: of the router.
      k: experts that are used.
      total: the sum of the weights. With ``k``, equal logits give each expert the weight 1, as
        :func:`upcycle` needs it.

    Raises:
      ConfigError: there are fewer than ``k`` experts.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.units import top_k_gates
      >>> top_k_gates(jnp.array([0.0, 2.0, 2.0, 1.0]), k=2, total=2.0)
      Array([0., 1., 1., 0.], dtype=float32)
    """
    num = logits.shape[-1]
    if not 1 <= k <= num:
        raise ConfigError("k", k, f"1 to {num}, the experts")
    largest, chosen = jax.lax.top_k(logits, k)
    gates = jax.nn.softmax(largest, axis=-1) * jnp.asarray(total, logits.dtype)
    return jnp.sum(gates[..., None] * jax.nn.one_hot(chosen, num, dtype=logits.dtype), axis=-2)


def balance_loss(
    probabilities: Float[Array, "n experts"], weights: Float[Array, "n experts"]
) -> Float[Array, ""]:
    """Return how unequally experts are used, 1 where all are used alike.

    It is ``experts * sum_e used_e p_e`` (Fedus et al. 2022, arXiv 2101.03961, equation 4): ``p_e``
    is the mean probability of an expert and ``used_e`` its share of all uses, through which no
    gradient flows. It is as large as the number of experts where one does everything.

    Args:
      probabilities: of each expert for each row, a softmax over all experts.
      weights: as :func:`top_k_gates` gives them; an expert is used where its weight is not 0.
    """
    used = jnp.sum(weights != 0, axis=0).astype(probabilities.dtype)
    shares = used / jnp.sum(used)
    return probabilities.shape[-1] * jnp.sum(shares * jnp.mean(probabilities, axis=0))


def expert_ffn(
    params: Params,
    x: Float[Array, "n width"],
    weights: Float[Array, "n experts"],
    activation: Callable[[Array], Array] = jax.nn.relu,
    *,
    capacity: int | None = None,
) -> Float[Array, "n width2"]:
    """Return the weighted sum of what the experts make of each row.

    ``params`` are those of a feed-forward layer, ``up`` and ``down`` with ``kernel`` and ``bias``,
    stacked on a first axis of experts. That axis may be sharded over a mesh, and that of
    ``weights`` with it: each device then computes its experts, and one sum over the devices
    follows.

    Without a ``capacity`` all experts compute all rows, which is exact and needs no gather. With
    one, each expert gathers the rows that weigh it most, ``capacity`` at most, and computes
    these alone. Rows beyond that are dropped for this expert, as usual (GShard: Lepikhin et al.
    2020, arXiv 2006.16668): ``max(sum(weights != 0, axis=0))`` rows drop none.

    Args:
      params: of the experts.
      x: rows.
      weights: of each expert for each row.
      activation: between the two layers.
      capacity: rows of an expert, or None for all rows.

    Raises:
      ConfigError: ``capacity`` is below 1 or above the number of rows.
    """
    up, down = params["up"], params["down"]
    if capacity is None:
        # two products of matrices, with all experts as one wide layer: a gradient of 32 experts
        # takes 17 ms of CPU time, against 75 by einsum over experts (512 rows, width 64, 128 units)
        num, width, size = up["kernel"].shape
        kernel = up["kernel"].swapaxes(0, 1).reshape(width, num * size)
        hidden = activation(x @ kernel + up["bias"].reshape(1, num * size))
        weighted = hidden.reshape(-1, num, size) * weights[..., None]
        merged = weighted.reshape(-1, num * size) @ down["kernel"].reshape(num * size, -1)
        return merged + weights @ down["bias"]
    if not 1 <= capacity <= x.shape[0]:
        raise ConfigError("capacity", capacity, f"1 to {x.shape[0]}, the rows")
    # an unused row has weight 0, so that it does not matter which ones fill the places left over
    _, rows = jax.lax.top_k(jnp.abs(weights.T), capacity)
    gates = jnp.take_along_axis(weights.T, rows, axis=1)[..., None]
    hidden = activation(jnp.einsum("ecd,edf->ecf", x[rows], up["kernel"]) + up["bias"][:, None])
    made = jnp.einsum("ecf,efd->ecd", hidden, down["kernel"]) + down["bias"][:, None]
    zeros = jnp.zeros((x.shape[0], made.shape[-1]), made.dtype)
    return zeros.at[rows].add(gates * made)


def upcycle(ffn: Params, copies: int, parts: int, key: Key[Array, ""]) -> Params:
    """Return experts that together compute what one feed-forward layer does, and their router.

    The layer is copied, and each copy is split along its hidden units into ``parts`` experts. The
    router has a random row for each copy, the same for all its parts. So the ``parts`` experts with
    the largest logits are those of one copy, and with weights of 1 each, as
    ``top_k_gates(x @ router, parts, total=parts)`` gives them, they sum to the layer. This is the
    initialization of Dynamic-DINO (2025, arXiv 2507.17436), with ``copies * parts`` experts.

    Args:
      ffn: ``up`` and ``down``, each with ``kernel`` and ``bias``.
      copies: of the layer.
      parts: experts that a copy is split into, and experts that a row uses.
      key: of the router.

    Returns:
      ``up`` and ``down`` as :func:`expert_ffn` takes them, copy by copy, and ``router`` with a
      ``kernel`` of ``[width, experts]``.

    Raises:
      ConfigError: a number is below 1, or ``parts`` does not divide the hidden units.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import mlp
      >>> from metajax.units import expert_ffn, top_k_gates, upcycle
      >>> x = jax.random.normal(jax.random.key(0), (5, 3))
      >>> layer = mlp([8], 3).init(jax.random.key(1), x)
      >>> ffn = {"up": layer["Dense_0"], "down": layer["Dense_1"]}
      >>> experts = upcycle(ffn, 4, 2, jax.random.key(2))
      >>> weights = top_k_gates(x @ experts["router"]["kernel"], 2, total=2)
      >>> outputs = expert_ffn(experts, x, weights)
      >>> weights.shape, bool(jnp.allclose(outputs, mlp([8], 3).apply(layer, x), atol=1e-5))
      ((5, 8), True)
    """
    up, down = ffn["up"], ffn["down"]
    width, hidden = up["kernel"].shape
    if copies < 1:
        raise ConfigError("copies", copies, "1 or more")
    if parts < 1 or hidden % parts:
        raise ConfigError("parts", parts, f"a number that divides the {hidden} hidden units")
    size = hidden // parts

    def copied(x: Array) -> Array:
        return jnp.tile(x, (copies,) + (1,) * (x.ndim - 1))

    rows = jax.random.normal(key, (copies, width), up["kernel"].dtype) * width**-0.5
    return {
        "router": {"kernel": jnp.repeat(rows, parts, axis=0).T},
        "up": {
            "kernel": copied(up["kernel"].reshape(width, parts, size).swapaxes(0, 1)),
            "bias": copied(up["bias"].reshape(parts, size)),
        },
        "down": {
            "kernel": copied(down["kernel"].reshape(parts, size, -1)),
            "bias": jnp.tile(down["bias"] / parts, (copies * parts, 1)),
        },
    }
