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


def _name(path: Any) -> str:
    return "hparams" + jax.tree_util.keystr(path)


def leaves_used(function: Callable[[PyTree], Any], hparams: PyTree) -> list[str]:
    """Return the names of the leaves of ``hparams`` that any output of ``function`` depends on."""
    closed = jax.make_jaxpr(function)(hparams)
    _, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(hparams)[0]]
    return [_name(path) for path, uses in zip(paths, used, strict=True) if uses]


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
    for path, leaf in jax.tree_util.tree_flatten_with_path(hparams)[0]:
        if not is_float(jax.numpy.asarray(leaf)):
            raise ConfigError(_name(path), leaf, "a float array: it is to be differentiated")
    state = jax.eval_shape(problem.init, hparams, start)
    batch = jax.eval_shape(lambda batches: at(batches, 0), batches)
    new = jax.eval_shape(problem.update, state, hparams, batch)
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

    def acts(hparams):
        return problem.init(hparams, start), problem.update(
            jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape, leaf.dtype), state),
            hparams,
            jax.tree.map(lambda leaf: leaf[0], batches),
        )

    used = set(leaves_used(acts, hparams))
    paths = jax.tree_util.tree_flatten_with_path(hparams)[0]
    if unused := [_name(path) for path, _ in paths if _name(path) not in used]:
        log.warning(
            "the inner steps do not use %s: only the outer loss can give it a gradient",
            ", ".join(unused),
        )
