"""What is refused, or warned of, before an inner optimisation runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jax
from jax.interpreters import partial_eval
from jaxtyping import PyTree

from metajax.bilevel.steps import at, is_float, num_steps
from metajax.bilevel.types import InnerProblem
from metajax.core import ConfigError

log = logging.getLogger("metajax")


def _names(hparams: PyTree) -> list[str]:
    paths = jax.tree_util.tree_flatten_with_path(hparams)[0]
    return ["hparams" + jax.tree_util.keystr(path) for path, _ in paths]


def _traced(function: Callable[..., Any], hparams: PyTree, *args: Any) -> tuple[Any, list[str]]:
    """The shapes of ``function(hparams, *args)``, and the leaves of ``hparams`` that it uses."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(hparams, *args)
    _, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    names = _names(hparams)
    return shapes, [name for name, uses in zip(names, used[: len(names)], strict=True) if uses]


def leaves_used(function: Callable[[PyTree], Any], hparams: PyTree) -> list[str]:
    """Return the names of the leaves of ``hparams`` that any output of ``function`` depends on."""
    return _traced(function, hparams)[1]


def check_problem(problem: InnerProblem, hparams: PyTree, start: PyTree, batches: PyTree) -> None:
    """Refuse what no estimator could work with; nothing is computed.

    Raises:
      ConfigError: no inner step, steps that disagree in number, hyperparameters that are not
        floats, or a state whose shapes or dtypes an update changes.

    Warns of hyperparameters that neither the update nor the initialisation uses.
    """
    lengths = sorted({leaf.shape[0] for leaf in jax.tree.leaves(batches)})
    if len(lengths) != 1:
        raise ConfigError("inner_batches", lengths, "one leading axis, of as many inner steps")
    if num_steps(batches) < 1:
        raise ConfigError("inner_batches", "0 inner steps", "1 inner step or more")
    if not jax.tree.leaves(hparams):
        raise ConfigError("hparams", hparams, "a pytree with at least one array")
    for name, leaf in zip(_names(hparams), jax.tree.leaves(hparams), strict=True):
        if not is_float(jax.numpy.asarray(leaf)):
            raise ConfigError(name, leaf, "a float array: it is to be differentiated")
    batch = jax.eval_shape(lambda batches: at(batches, 0), batches)
    state, by_init = _traced(problem.init, hparams, start)
    new, by_update = _traced(
        lambda hparams, state, batch: problem.update(state, hparams, batch), hparams, state, batch
    )
    structure: Any = jax.tree.structure(state)
    if structure != jax.tree.structure(new):
        raise ConfigError("update", jax.tree.structure(new), f"the state's structure, {structure}")
    before = jax.tree_util.tree_flatten_with_path(state)[0]
    for (path, old), leaf in zip(before, jax.tree.leaves(new), strict=True):
        if (old.shape, old.dtype) != (leaf.shape, leaf.dtype):
            raise ConfigError(
                f"update's state{jax.tree_util.keystr(path)}", f"{leaf.dtype}{list(leaf.shape)}",
                f"{old.dtype}{list(old.shape)}, as in the state before the step",
            )  # fmt: skip

    if unused := [name for name in _names(hparams) if name not in {*by_init, *by_update}]:
        log.warning(
            "the inner steps do not use %s: only the outer loss can give it a gradient",
            ", ".join(unused),
        )
