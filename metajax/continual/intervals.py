"""HyperInterval: a box of embeddings for each task, and bounds of all networks it generates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.continual.generated import output_change
from metajax.continual.learner import BoxedNetworks, ContinualLearner, counted_accuracy
from metajax.continual.sequences import Batch
from metajax.continual.single import cross_entropy_of
from metajax.core import ConfigError, Params, count
from metajax.nn import Interval, draw_normals, exact, interval_mlp, mlp

OUTPUT_SCALE = 0.1
"""Scale of the hypernetwork's last layer at the start: bounds of wide layers explode otherwise."""
KAPPA = 0.5
"""Share of the plain loss once the boxes have their full size."""


def interval_hypernetwork(
    inputs: int,
    widths: Sequence[int],
    ways: int,
    num_tasks: int,
    *,
    width: float = 0.5,
    nested: bool = True,
    embedding: int = 24,
    hidden: Sequence[int] = (32, 32),
    strength: float | Float[Array, ""] = 1.0,
    ramp: int = 150,
) -> ContinualLearner:
    """Generate networks from boxes of embeddings, and train their worst case (HyperInterval).

    arXiv 2405.15444. A nested box has its center at ``width / (2 d) cos(e)`` and the radius
    ``width / d`` in each of ``d`` coordinates, so that 0 lies in every box by construction;
    otherwise the center is the learned embedding itself. Intervals pass through the hypernetwork
    and the target, an MLP with ReLU. The loss is ``kappa`` times that of the middle network, plus
    ``1 - kappa`` times that of the worst logits within the bounds. The worst logits are the lower
    one of the true class and the upper ones of the others. Over the first ``ramp`` steps of a task
    boxes grow from a point, and ``kappa`` falls from 1 to 0.5. The penalty on earlier tasks
    compares lower ends, middles and upper ends of generated weights. A new task's embedding starts
    from the previous one.

    Bounds hold for the present hypernetwork. They are no guarantee against forgetting: the next
    task changes the hypernetwork, and only the penalty limits that change.

    Args:
      inputs: features of an input.
      widths: hidden layers of the target.
      ways: classes.
      num_tasks: of the sequence.
      width: of a box, over all coordinates together.
      nested: boxes have 0 in common.
      embedding: coordinates of an embedding.
      hidden: sizes of the hypernetwork's hidden layers.
      strength: of the penalty on changes of earlier outputs; may be traced.
      ramp: steps of a task over which its box grows.

    Returns:
      The learner, with its boxes. It predicts by the middle of a task's box. Its ``universal``
      network is made from the embedding 0, which all nested boxes have in common.

    Raises:
      ConfigError: ``width`` is not above 0, or ``ramp`` is below 1.
    """
    if not width > 0:
        raise ConfigError("width", width, "above 0")
    if ramp < 1:
        raise ConfigError("ramp", ramp, "1 step or more")
    target = mlp(widths, ways)
    shapes = jax.eval_shape(target.init, jax.random.key(0), jnp.zeros((1, inputs)))
    leaves, treedef = jax.tree.flatten(shapes)
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    names = [f"layer_{place}" for place in range(len(hidden) + 1)]

    def init(key: Key[Array, ""], batch: Batch) -> Params:
        outputs, first, second, third = [*hidden, sum(sizes)], *jax.random.split(key, 3)
        size, layers = embedding, {}
        for name, number in zip(names, outputs, strict=True):
            layers[name] = {"kernel": jnp.zeros((size, number)), "bias": jnp.zeros(number)}
            size = number
        layers = draw_normals(first, layers)
        last = layers[names[-1]]
        # an ordinary initialization of the target: inputs are of the size of a box, nearly 0
        start = jax.tree.leaves(target.init(second, batch.examples.inputs))
        last["bias"] = jnp.concatenate([leaf.reshape(-1) for leaf in start])
        last["kernel"] = OUTPUT_SCALE * last["kernel"]
        return {"hypernet": layers, "embeddings": jax.random.normal(third, (num_tasks, embedding))}

    def boxes(embeddings: Array, share: Array | float) -> Interval:
        full = jnp.asarray(share, embeddings.dtype) * width / embedding
        center = 0.5 * full * jnp.cos(embeddings) if nested else embeddings
        return Interval(center, jnp.broadcast_to(full, center.shape))

    def generate(layers: Params, box: Interval) -> Params:
        """Networks from boxes ``[n, size]``: the target's tree, an interval at each leaf."""
        pairs = [(layers[name]["kernel"], layers[name]["bias"]) for name in names]
        flat = interval_mlp(pairs, box)
        made, start = [], 0
        for leaf, size in zip(leaves, sizes, strict=True):
            shape = len(flat.center), *leaf.shape
            part = [side[:, start : start + size].reshape(shape) for side in flat]
            made.append(Interval(*part))
            start += size
        return jax.tree.unflatten(treedef, made)

    def layers_of(made: Params) -> list[tuple[Interval, Interval]]:
        ordered = [made[f"Dense_{place}"] for place in range(len(widths) + 1)]
        return [(layer["kernel"], layer["bias"]) for layer in ordered]

    def of_task(params: Params, index: Array, share: Array | float = 1.0) -> Params:
        box = boxes(params["embeddings"][index][None], share)
        return jax.tree.map(lambda leaf: leaf[0], generate(params["hypernet"], box))

    def logits_within(made: Params, x: Array) -> Interval:
        return interval_mlp(layers_of(made), x)

    def middle(made: Params) -> Params:
        return jax.tree.map(lambda leaf: leaf.center, made, is_leaf=_is_interval)

    def begin(params: Params, memory: Params, index: Array) -> tuple[Params, Params]:
        kept = params["embeddings"]
        copied = kept.at[index].set(kept[jnp.maximum(index - 1, 0)])
        # a copied angle; a center of its own would have to be told apart from the last one at once
        return {**params, "embeddings": copied}, params

    def loss(params: Params, memory: Params, batch: Batch, key: Key[Array, ""]) -> Any:
        share = jnp.minimum(batch.place.astype(jnp.float32) / ramp, 1)
        made = of_task(params, batch.task, share)
        bounds = logits_within(made, batch.examples.inputs)
        targets = batch.examples.targets
        logits = target.apply(middle(made), batch.examples.inputs)
        plain, metrics = cross_entropy_of(logits, targets)
        worst, _ = cross_entropy_of(worst_logits(bounds, targets), targets)
        kappa = 1 - (1 - KAPPA) * share
        return kappa * plain + (1 - kappa) * worst, {**metrics, "worst": worst}

    def ends(layers: Params, embeddings: Array) -> Params:
        made = generate(layers, boxes(embeddings, 1.0))
        return jax.tree.map(
            lambda leaf: jnp.stack([leaf.lower, leaf.center, leaf.upper], 1),
            made,
            is_leaf=_is_interval,
        )

    def kept(params: Params, memory: Params, index: Array) -> Array:
        held = jax.lax.stop_gradient(params["embeddings"])
        before = ends(memory["hypernet"], held)
        change = output_change(
            ends(params["hypernet"], held), before, jnp.arange(num_tasks) < index
        )
        return strength * change

    def predict(params: Params, index: Array, x: Any) -> Array:
        return target.apply(middle(of_task(params, index)), x)

    def network(params: Params, embedding: Array) -> Params:
        return middle(
            jax.tree.map(lambda leaf: leaf[0], generate(params["hypernet"], exact(embedding[None])))
        )

    def universal(params: Params, x: Any) -> Array:
        return target.apply(network(params, jnp.zeros(embedding)), x)

    def bounds(params: Params, index: Array, x: Any) -> Interval:
        return logits_within(of_task(params, index), x)

    def box(params: Params, index: Array) -> Interval:
        return boxes(params["embeddings"][index], 1.0)

    def numbers(params: Params, memory: Any, tasks: int) -> dict[str, int]:
        own = count(params["hypernet"]) + tasks * embedding
        return {"predicting": own, "learning": own}

    return ContinualLearner(
        init,
        lambda params: params,
        loss,
        predict,
        begin,
        kept,
        numbers=numbers,
        by_task=True,
        universal=universal,
        boxed=BoxedNetworks(bounds, network, target.apply, box),
    )


def worst_logits(bounds: Interval, targets: Int32[Array, " n"]) -> Float[Array, "n ways"]:
    """Return the logits within bounds that are worst for the true classes.

    Args:
      bounds: of logits ``[n, ways]``.
      targets: the true classes.
    """
    true = jax.nn.one_hot(targets, bounds.center.shape[-1], dtype=bool)
    return jnp.where(true, bounds.lower, bounds.upper)


def verified(
    bounds: Interval, targets: Int32[Array, " n"], counts: Bool[Array, " n"] | None = None
) -> Float[Array, ""]:
    """Return the share of inputs that every network within the bounds classifies as true.

    Args:
      bounds: of logits ``[n, ways]``.
      targets: the true classes.
      counts: which inputs count; None: all.
    """
    counted = jnp.ones(targets.shape, bool) if counts is None else counts
    return counted_accuracy(worst_logits(bounds, targets), targets, counted)


def _is_interval(node: Any) -> bool:
    return isinstance(node, Interval)
