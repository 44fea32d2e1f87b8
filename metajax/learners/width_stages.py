"""One function that gives the weights of a network of any width, in three stages of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key, PyTree

from metajax.core import (
    Algorithm,
    MetaLearner,
    Network,
    Params,
    Task,
    accuracy,
    cross_entropy,
    path_name,
)
from metajax.hypernet import drawn_mean, implicit
from metajax.learners.averages import with_average
from metajax.learners.conditioned import generated_network
from metajax.learners.kept_widths import VariedNetwork
from metajax.learners.stages import Stage, in_stages
from metajax.units import permute_units, smooth_path, unit_rows, unit_sizes

LAST = 2
"""The stage that trains at all widths."""


class MetamorphosisParams(NamedTuple):
    """What Neural Metamorphosis learns.

    Attributes:
      full: the network at its full width, as trained by itself; the rest, which are tensors that no
        varied unit belongs to, are used at all widths.
      made: of the function that gives all other tensors.
    """

    full: Params
    made: Params


class Metamorphosis(NamedTuple):
    """The learners of the three stages, with the same parameters.

    Attributes:
      full: trains the network at its full width.
      fitted: fits the function to the weights of that network.
      widths: trains the function at all widths that tasks have; it is the one that is used.
      ordered: puts the units of the trained network in a smooth order, at the end of the first
        stage; None: they stay in their own.
      rest: True for each tensor of the network that is not generated and is trained with the
        function in the last stage; False for all others.
    """

    full: MetaLearner
    fitted: MetaLearner
    widths: MetaLearner
    ordered: Callable[[MetamorphosisParams], MetamorphosisParams] | None
    rest: PyTree[bool]

    def algorithm(
        self,
        steps: Sequence[int],
        optimizers: Sequence[optax.GradientTransformation],
        average: float | Float[Array, ""] = 0.0,
    ) -> Algorithm:
        """Return the algorithm that trains all three stages, and averages the last one.

        Args:
          steps: of each stage; the last one has all that are left.
          optimizers: of each stage.
          average: decay of :func:`with_average`, over the steps of the last stage; 0: none.

        Raises:
          ConfigError: a stage but the last has no step, or the decay is not in its range.
        """
        algorithm = in_stages(self.stages(steps), lambda stage: optimizers[stage])
        return with_average(algorithm, average, after=sum(steps[:LAST]))

    def stages(self, steps: Sequence[int]) -> list[Stage]:
        """Return the stages, for :func:`in_stages`.

        Args:
          steps: of each of the three.
        """
        learners = (self.full, self.fitted, self.widths)
        ends = (self.ordered, None, None)
        return [
            Stage(learner, each, self.trained(index), end)
            for index, (learner, each, end) in enumerate(zip(learners, steps, ends, strict=True))
        ]

    def trained(self, stage: int) -> Callable[[MetamorphosisParams], PyTree]:
        """Return which parameters move in a stage, for :class:`Stage`.

        Args:
          stage: 0 to 2.
        """

        def moves(params: MetamorphosisParams) -> PyTree:
            full = jax.tree.map(lambda rest: stage == 0 or (stage == LAST and rest), self.rest)
            return MetamorphosisParams(full, jax.tree.map(lambda _: stage > 0, params.made))

        return moves


def metamorphosis(
    varied: VariedNetwork,
    *,
    hidden: int = 64,
    depth: int = 3,
    noise: float = 0.0,
    draws: int = 1,
    octaves: int | None = None,
    smooth: bool = True,
    rest: bool = True,
    reconstruct: float | Float[Array, ""] = 1.0,
    shrink: float | Float[Array, ""] = 1e-4,
) -> Metamorphosis:
    """Generate a network of any width from one function (NeuMeta; Yang and Wang 2024, 2410.11878).

    First the network is trained at its full width. Its units are put in an order in which neighbors
    are alike. The function of :func:`metajax.hypernet.implicit` is fitted to the weights in this
    order. Then it is trained by the cross-entropy at the widths that tasks have, and with it the
    tensors that it does not give: one of them serves all widths, as in networks that share weights.
    Where a task has the full width, the distance from the trained weights is added. Tasks have a
    width as their support, and images with their classes as their query.

    Args:
      varied: the network, with the units whose number varies.
      hidden: size of the function's layers.
      depth: its residual layers.
      noise: coordinates move by up to so many units in the last stage.
      draws: at use the weights are the mean over so many draws of noisy coordinates, where there is
        noise; the paper has 100.
      octaves: of the coordinates along these units, at most.
      smooth: put the units in the order of :func:`metajax.units.smooth_path`.
      rest: in the last stage, train the tensors that are not generated too; they are those of the
        full network otherwise.
      reconstruct: weight of the relative squared distance from the trained weights.
      shrink: weight of the mean square of the generated weights over that of the trained ones.

    Returns:
      The learners of the stages.

    Raises:
      ConfigError: an option of the function is rejected.
    """
    network, start, units, name = varied
    hypernet = implicit(
        start, units, [name], hidden=hidden, depth=depth, noise=noise, octaves=octaves
    )
    shapes = jax.eval_shape(start, jax.random.key(0))
    largest = unit_sizes(shapes, units)[name]
    made_of: Any = jax.eval_shape(hypernet.init, jax.random.key(0), {name: largest})

    def moves_last(path: Any, _: Any) -> bool:
        return rest and path_name(path) in made_of["kept"]

    def weights(
        params: MetamorphosisParams, width: Int32[Array, ""] | int, key: Any = None
    ) -> Params:
        at = [(path_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(params.full)]
        return hypernet.apply({**params.made, "kept": dict(at)}, {name: width}, key)

    def ordered(params: MetamorphosisParams) -> MetamorphosisParams:
        order = smooth_path(unit_rows(params.full, units, name))
        return params._replace(full=permute_units(params.full, units, {name: order}))

    def compared(params: MetamorphosisParams, found: Params) -> tuple[Array, Array]:
        wanted = jax.lax.stop_gradient(params.full)
        apart = jax.tree.map(jnp.subtract, found, wanted)
        error, size, usual = (
            optax.tree.norm(each, squared=True) for each in (apart, found, wanted)
        )
        return error / usual, size / usual

    def init(key: Key[Array, ""], task: Task) -> MetamorphosisParams:
        made: Any = hypernet.init(key, {name: largest})
        return MetamorphosisParams(start(key), {part: made[part] for part in ("made", "scales")})

    def full_loss(params: MetamorphosisParams, task: Task, key: Key[Array, ""]) -> Any:
        logits = network.apply(params.full, task.query.inputs)
        return cross_entropy(logits, task.query.targets), {
            "accuracy": accuracy(logits, task.query.targets),
            "reconstruction": jnp.zeros(()),
        }

    def fitted_loss(params: MetamorphosisParams, task: Task, key: Key[Array, ""]) -> Any:
        found = weights(params, largest)
        error, _ = compared(params, found)
        logits = network.apply(found, task.query.inputs)
        return error, {
            "accuracy": accuracy(logits, task.query.targets),
            "reconstruction": error,
        }

    def penalty(params: MetamorphosisParams, found: Params, width: Int32[Array, ""]) -> Any:
        error, size = compared(params, found)
        error = jnp.where(width == largest, error, 0)
        return reconstruct * error + shrink * size, {"reconstruction": error}

    drawing = generated_network(Network(init, weights), network, penalty=penalty, draws=noise > 0)
    used = drawing._replace(init=init)
    if noise > 0:
        used = used._replace(adapt=drawn_mean(Network(init, weights), draws).apply)
    return Metamorphosis(
        used._replace(loss=full_loss),
        used._replace(loss=fitted_loss),
        used,
        ordered if smooth else None,
        jax.tree.map_with_path(moves_last, shapes),
    )
