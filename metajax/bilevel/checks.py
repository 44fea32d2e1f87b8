"""What is rejected, or warned of, before an inner optimization runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jax
from jax.interpreters import partial_eval
from jaxtyping import PyTree

from metajax.bilevel.steps import at, floats, is_float, num_steps, params_of
from metajax.bilevel.types import Hypergradient, InnerProblem
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


def blind_to(problem: InnerProblem, hparams: PyTree, state: PyTree, batch: PyTree) -> list[str]:
    """Return the leaves of ``hparams`` that a step uses and lets no derivative through from.

    What an optimizer makes of its gradient by sign alone, for one, has none.
    """

    def step(hparams: PyTree, state: PyTree, batch: PyTree) -> list[Any]:
        return floats(problem.update(state, hparams, batch))

    def along(tangents: PyTree, hparams: PyTree, *rest: PyTree) -> list[Any]:
        return jax.jvp(lambda hparams: step(hparams, *rest), (hparams,), (tangents,))[1]

    used = _traced(step, hparams, state, batch)[1]
    derivatives = _traced(along, hparams, hparams, state, batch)[1]
    return [name for name in used if name not in derivatives]


def curved_state(problem: InnerProblem, hparams: PyTree, state: PyTree, batch: PyTree) -> list[str]:
    """Return the parts of a state, other than the parameters, in which a step is not linear.

    The derivative of a step is the same wherever a momentum stands; that of a step which divides by
    the root of a second moment is not.
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(state)
    numbers = jax.tree.unflatten(treedef, range(len(paths)))
    params = set(jax.tree.leaves(params_of(problem, numbers)))
    groups: dict[str, list[int]] = {}
    for number, (path, leaf) in enumerate(paths):
        if number not in params and is_float(leaf):
            # one array for every parameter, or one in all: the last name that is a field's
            last = max(
                (i for i, key in enumerate(path) if isinstance(key, jax.tree_util.GetAttrKey)),
                default=len(path) - 1,
            )
            groups.setdefault(jax.tree_util.keystr(path[: last + 1]), []).append(number)

    def along(part: list[Any], numbers: list[int], state: PyTree, hparams: PyTree, batch: PyTree):
        leaves, treedef = jax.tree.flatten(state)

        def step(part: list[Any]) -> list[Any]:
            for number, leaf in zip(numbers, part, strict=True):
                leaves[number] = leaf
            return floats(problem.update(jax.tree.unflatten(treedef, leaves), hparams, batch))

        return jax.jvp(step, (part,), (jax.tree.map(jax.numpy.ones_like, part),))[1]

    return [
        name
        for name, numbers in groups.items()
        if _traced(
            lambda part, *rest, numbers=numbers: along(part, numbers, *rest),
            [paths[number][1] for number in numbers],
            state,
            hparams,
            batch,
        )[1]
    ]


def check_problem(
    problem: InnerProblem,
    hparams: PyTree,
    start: PyTree,
    batches: PyTree,
    estimator: Hypergradient | None = None,
) -> None:
    """Reject what no estimator could work with; nothing is computed.

    Raises:
      ConfigError: no inner step, steps that disagree in number, hyperparameters that are not
        floats, or a state whose shapes or dtypes an update changes.

    Warns of hyperparameters that neither the update nor the initialization uses, and of those that
    act on the steps without a derivative. Also warns of an ``estimator`` that takes states from a
    straight line where the steps are not linear in them.
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
                f"update's state{jax.tree_util.keystr(path)}",
                f"{leaf.dtype}{list(leaf.shape)}",
                f"{old.dtype}{list(old.shape)}, as in the state before the step",
            )

    if unused := [name for name in _names(hparams) if name not in {*by_init, *by_update}]:
        log.warning(
            "the inner steps do not use %s: only the outer loss can give it a gradient",
            ", ".join(unused),
        )
    name = "" if estimator is None else estimator.name
    if name not in ("es", "pes") and (blind := blind_to(problem, hparams, state, batch)):
        log.warning(
            "the inner steps let no derivative of %s through (a sign, a comparison or a stopped "
            "gradient): its effect on them counts as 0; es and pes need no derivative",
            ", ".join(blind),
        )
    on_a_line = name == "drmad" or (estimator is not None and estimator.calibrate is not None)
    if on_a_line and (curved := curved_state(problem, hparams, state, batch)):
        log.warning(
            "%s takes the optimizer's state from a straight line, and the inner steps are not "
            "linear in state%s: what it finds may be off by orders of magnitude; compare it with "
            "unrolled or forward on a short run",
            name,
            ", state".join(curved),
        )
