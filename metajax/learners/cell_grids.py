"""Learning by a grid of small recurrent cells that share all weights (VSML)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Examples, Params, Task
from metajax.learners.losses import one_hot
from metajax.learners.sequences import SequenceLearner, sequence_learner
from metajax.nn import LSTMState, draw_normals, lstm_step


class Grid(NamedTuple):
    """A layer of cells, one for each pair of a unit on its left and a unit on its right.

    Attributes:
      cells: what they remember.
      backward: the messages that the units on the right have sent last.
    """

    cells: LSTMState
    backward: Float[Array, "*batch right messages"]


Grids = tuple[Grid, ...]


def shared_cells(
    num_classes: int, *, width: int = 8, messages: int = 4, hidden: Sequence[int] = ()
) -> SequenceLearner:
    """Learn by message passing in place of backpropagation (VSML: Kirsch and Schmidhuber 2021).

    Every weight of a fully connected network becomes an LSTM cell (arXiv 2012.14905). The cell
    between units ``a`` and ``b`` reads the forward message to ``a`` and the backward message to
    ``b``. Two linear maps of its output give its share of the forward message from ``b`` and of the
    backward message from ``a``; shares are added. All cells of all layers have the same weights, so
    what is meta-learned is a learning rule: for any number of inputs, units and classes, and the
    same for features or classes in any order.

    An example is read in two sweeps. The input goes forward, a feature in the first number of its
    message, through all layers, and the first number of what arrives at a class is its logit. Then
    the class is told its label and the error of its probability, and messages go back through the
    layers, while those that came forward stay.

    Shares are divided by the root of their number. Cells begin at 0; those of a unit of a hidden
    layer at numbers of its own, drawn by the key, or the units would stay the same.

    Args:
      num_classes: targets are 0 to ``num_classes - 1``.
      width: numbers that a cell's LSTM keeps, twice.
      messages: numbers of a message.
      hidden: units of each hidden layer; none: one layer of cells, from inputs to classes.

    Returns:
      A learner whose state after a support is the grids of cells.

    Raises:
      ConfigError: a size is too small.
    """
    if width < 1:
        raise ConfigError("width", width, "a whole number of 1 or more")
    if messages < 2:
        raise ConfigError("messages", messages, "2 or more: a label and an error")
    if min(hidden, default=1) < 1:
        raise ConfigError("hidden", tuple(hidden), "whole numbers of 1 or more")

    def init(key: Key[Array, ""], task: Task) -> Params:
        def kernel(rows: int, columns: int) -> Params:
            return {"kernel": jnp.zeros((rows, columns))}

        gates = 4 * width
        params = {
            "from_left": kernel(messages, gates) | {"bias": jnp.zeros(gates)},
            "from_right": kernel(messages, gates),
            "recurrent": kernel(width, gates),
            "to_right": kernel(width, messages),
            "to_left": kernel(width, messages),
        }
        drawn = draw_normals(key, params)
        # a cell starts out remembering (Gers et al. 2000)
        drawn["from_left"]["bias"] = drawn["from_left"]["bias"].at[width : 2 * width].set(1)
        return drawn

    def starts(params: Params, inputs: Float[Array, "s n f"], key: Key[Array, ""]) -> Grids:
        sequences, units = inputs.shape[0], (inputs.shape[-1], *hidden, num_classes)
        dtype = params["recurrent"]["kernel"].dtype
        wide = jnp.promote_types(dtype, jnp.float32)
        own = [jnp.zeros((units[0], width), wide)]
        for place, number in enumerate(hidden):
            drawn = jax.random.normal(jax.random.fold_in(key, place), (number, width), wide)
            own.append(drawn)
        own.append(jnp.zeros((units[-1], width), wide))

        def grid(left: Array, right: Array) -> Grid:
            cell = left[:, None] + right[None]
            shape = (sequences, *cell.shape)
            cells = LSTMState(jnp.broadcast_to(cell[None], shape), jnp.zeros(shape, dtype))
            return Grid(cells, jnp.zeros((sequences, len(right), messages), dtype))

        return tuple(grid(left, right) for left, right in itertools.pairwise(own))

    def updated(params: Params, grid: Grid, forward: Float[Array, "s left messages"]) -> Grid:
        left = forward @ params["from_left"]["kernel"] + params["from_left"]["bias"][None, None]
        right = grid.backward @ params["from_right"]["kernel"]
        read = left[:, :, None] + right[:, None]
        return grid._replace(cells=lstm_step(params["recurrent"]["kernel"], grid.cells, read)[0])

    def added(params: Params, grid: Grid, to: str, axis: int) -> Float[Array, "s units messages"]:
        shares = jnp.sum(grid.cells.hidden, axis=axis) * grid.cells.hidden.shape[axis] ** -0.5
        return shares @ params[to]["kernel"]

    def message(parts: Sequence[Float[Array, "s units"]]) -> Float[Array, "s units messages"]:
        blank = jnp.zeros_like(parts[0])
        return jnp.stack([*parts, *[blank] * (messages - len(parts))], axis=-1)

    def forward(
        params: Params, grids: Grids, inputs: Float[Array, "s f"]
    ) -> tuple[Grids, list[Array]]:
        """Sweep forward: the grids, and the messages to the units of each layer."""
        sent, read = [message([inputs.astype(params["recurrent"]["kernel"].dtype)])], []
        for grid in grids:
            read.append(updated(params, grid, sent[-1]))
            sent.append(added(params, read[-1], "to_right", 1))
        return tuple(read), sent

    def backward(
        params: Params, grids: Grids, sent: list[Array], labels: Float[Array, "s classes"]
    ) -> Grids:
        """Sweep back from what the classes are told."""
        error = labels - jax.nn.softmax(sent[-1][..., 0])
        told = message([labels, error])
        read: list[Grid] = []
        for grid, coming in zip(reversed(grids), reversed(sent[:-1]), strict=True):
            read.insert(0, updated(params, grid._replace(backward=told), coming))
            told = added(params, read[0], "to_left", 2)
        # classes are told nothing while the next input goes forward
        blank = jnp.zeros_like(read[-1].backward)
        return (*read[:-1], read[-1]._replace(backward=blank))

    def learn(params: Params, examples: Examples, key: Key[Array, ""]) -> tuple[Grids, Array]:
        """Read a sequence: the grids after it, and logits at each position."""
        dtype = params["recurrent"]["kernel"].dtype
        labels = one_hot(examples.targets, num_classes, dtype)

        # the way back computes the gates again instead of keeping them for every cell and example
        @jax.checkpoint
        def step(grids: Grids, example: tuple[Array, Array]) -> tuple[Grids, Array]:
            inputs, label = example
            grids, sent = forward(params, grids, inputs)
            return backward(params, grids, sent, label), sent[-1][..., 0]

        time_first = functools.partial(jnp.moveaxis, source=1, destination=0)
        each = (time_first(examples.inputs), time_first(labels))
        grids, found = jax.lax.scan(step, starts(params, examples.inputs, key), each)
        return grids, jnp.moveaxis(found, 0, 1)

    def predict(params: Params, adapted: Grids, inputs: Float[Array, "s query features"]) -> Any:
        def one(query: Float[Array, "s features"]) -> Float[Array, "s classes"]:
            return forward(params, adapted, query)[1][-1][..., 0]

        return jax.vmap(one, in_axes=1, out_axes=1)(inputs)

    return sequence_learner(
        init,
        adapt=lambda params, support, key: learn(params, support, key)[0],
        predict=predict,
        logits=lambda params, examples, key: learn(params, examples, key)[1],
        num_classes=num_classes,
    )
