"""Checks of what a person's arrays are, at the calls where they come in.

Shapes and dtypes are checked of traced arrays too, which costs the compiled program nothing; values
of known arrays alone. Numbers that are not finite pass: what is made of them is not finite either.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from metajax.core.errors import ConfigError, MetajaxError
from metajax.core.kinds import check_network, described, kind
from metajax.core.scores import check_known_labels
from metajax.core.trees import path_name
from metajax.core.types import Examples, MetaLearner, Network, Params, SequenceNetwork, Task

_MISFITS = (TypeError, ValueError, IndexError, AssertionError)
"""What a function raises of arrays that it was not made for; Flax has errors of its own."""


def as_arrays(field: str, tree: PyTree) -> PyTree:
    """Return a tree of JAX arrays: NumPy arrays are moved, lists of numbers become one array.

    Args:
      field: the name that an error gives ``tree``.
      tree: arrays, numbers, and lists of numbers.

    Raises:
      ConfigError: a list is ragged, or something is no array of numbers.
    """
    if isinstance(tree, list) or type(tree) is tuple:
        leaves = jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None)
        if not leaves or not any(hasattr(leaf, "shape") and leaf.shape for leaf in leaves):
            tree = _from_list(field, tree)

    def move(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array | jax.core.Tracer):
            return leaf
        if not isinstance(leaf, np.ndarray | np.generic | int | float):
            raise ConfigError(field, kind(leaf), "arrays of numbers")
        array = np.asarray(leaf)
        if array.dtype.kind not in "biufV":  # V: ml_dtypes, bfloat16 and narrower
            raise ConfigError(field, described(array), "arrays of numbers")
        return jax.device_put(array)  # explicit: a transfer guard lets it pass

    return jax.tree.map(move, tree, is_leaf=lambda leaf: leaf is None)


def _from_list(field: str, numbers: Any) -> np.ndarray:
    try:
        return np.asarray(jax.device_get(numbers))
    except ValueError as error:
        raise ConfigError(field, "a ragged list", "rows of one length") from error


def as_examples(
    field: str,
    value: Any,
    *,
    axes: int = 1,
    may_be_empty: bool = False,
    inputs: type = object,
) -> Examples:
    """Return examples as JAX arrays whose inputs and targets share their leading ``axes``.

    Args:
      field: what they are called, ``support`` or ``query``.
      value: :class:`~metajax.core.Examples`, or a pair of inputs and targets.
      axes: leading axes that all leaves share: examples; or sequences and examples.
      may_be_empty: whether the last of these may be of size 0.
      inputs: the type of inputs, where it is a structure of its own.

    Raises:
      ConfigError: they are no examples, differ in those axes, or there are none.
    """
    if not isinstance(value, Examples):
        if not (isinstance(value, tuple | list) and len(value) == 2) or isinstance(value, Task):
            raise ConfigError(field, kind(value), "Examples(inputs, targets)")
        value = Examples(*value)
    check_type(f"{field}.inputs", value.inputs, inputs)
    value = Examples(
        as_arrays(f"{field}.inputs", value.inputs), as_arrays(f"{field}.targets", value.targets)
    )
    named = [
        *((f"{field}.inputs", leaf) for leaf in jax.tree.leaves(value.inputs)),
        *((f"{field}.targets", leaf) for leaf in jax.tree.leaves(value.targets)),
    ]
    names = ("examples",) if axes == 1 else ("sequences", "examples")
    leading = f"[{', '.join(names)}, ...]"
    for name, leaf in named:
        if leaf.ndim < axes:
            raise ConfigError(name, described(leaf), f"an array {leading}")
        if leaf.shape[:axes] != (shape := named[0][1].shape[:axes]):
            raise ConfigError(
                name,
                described(leaf),
                f"an array {leading} with the {' and '.join(names)} of {named[0][0]}, "
                f"{described(named[0][1])}: {list(shape)}",
            )
        if 0 in leaf.shape[: axes - may_be_empty]:
            raise ConfigError(name, described(leaf), f"1 example or more, {leading}")
    return value


def check_type(field: str, value: Any, expected: type) -> None:
    """Raise where a value is not of a type.

    Args:
      field: the name that an error gives ``value``.
      value: what is checked.
      expected: the type that it must be of.

    Raises:
      ConfigError: it is not.
    """
    if not isinstance(value, expected):
        parts = ", ".join(getattr(expected, "_fields", ()))
        raise ConfigError(field, kind(value), f"{expected.__name__}({parts})")


def check_labels(field: str, labels: Any, classes: int, *, axes: int = 1) -> None:
    """Raise where labels are not whole numbers of 0 to ``classes - 1``; values of known ones alone.

    Args:
      field: the name that an error gives them.
      labels: whole numbers ``[*axes]``, traced or known.
      classes: how many there are.
      axes: number of axes that labels must have.

    Raises:
      ConfigError: another dtype or number of axes, or a label that is no class.
    """
    expected = f"integer labels of 0 to {classes - 1}, for {classes} classes"
    if not hasattr(labels, "dtype") or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ConfigError(field, described(labels), expected)
    if labels.ndim != axes:
        raise ConfigError(field, described(labels), f"{expected}, an array of {axes} axes")
    check_known_labels(labels, classes, field)


Check = Callable[[str, Examples], None]


def as_task(value: Any, check: Check | None = None, **options: Any) -> Task:
    """Return a task of examples, support and query alike, as JAX arrays.

    Args:
      value: a :class:`~metajax.core.Task`, or a pair.
      check: a further check of support and query; see :func:`as_examples`.
      **options: of :func:`as_examples`.

    Raises:
      ConfigError: it is no task, or its support or query are not what :func:`as_examples` takes, or
        they differ in features.
    """
    if not isinstance(value, Task):
        raise ConfigError("task", kind(value), "a Task(support, query)")
    axes = options.get("axes", 1)
    support, query = (
        as_examples(field, part, **options)
        for field, part in (("support", value.support), ("query", value.query))
    )
    for part in ("inputs", "targets"):
        known, asked = getattr(support, part), getattr(query, part)
        if _features(known, axes) != _features(asked, axes):
            raise ConfigError(
                f"query.{part}",
                described(asked),
                f"the features of support.{part}, {described(known)}",
            )
    if check is not None:
        check("support", support)
        check("query", query)
    return Task(support, query)


def first_task(value: Any, check: Check | None = None, **options: Any) -> Task:
    """Return a task from which parameters are made: :func:`as_task`, whose query need not be read.

    Args:
      value: a :class:`~metajax.core.Task`, or a pair.
      check: a further check of support and query; see :func:`as_examples`.
      **options: of :func:`as_examples`.

    Raises:
      ConfigError: see :func:`as_task`; a query that is not of examples passes.
    """
    if isinstance(value, Task) and not isinstance(value.query, Examples):
        alone = Task(value.support, value.support)
        return value._replace(support=as_task(alone, check, **options).support)
    return as_task(value, check, **options)


def _features(tree: PyTree, axes: int) -> PyTree:
    return jax.tree.structure(tree), [leaf.shape[axes:] for leaf in jax.tree.leaves(tree)]


def checked_learner(
    learner: MetaLearner,
    check: Check | None = None,
    *,
    axes: int = 1,
    may_be_empty: bool = False,
    inputs: type = object,
) -> MetaLearner:
    """Return a learner of :class:`~metajax.core.Examples` that checks its arguments.

    Args:
      learner: whose functions are called.
      check: ``check(field, examples)``, what else has to hold of a support or query.
      axes: see :func:`as_examples`.
      may_be_empty: whether a support, or a query, may hold no examples.
      inputs: see :func:`as_examples`.

    Raises:
      ConfigError: from its functions, for what is no task or does not fit.
    """
    options: dict[str, Any] = {"axes": axes, "may_be_empty": may_be_empty, "inputs": inputs}

    @functools.wraps(learner.init)
    def init(key: Any, task: Any) -> Params:
        return learner.init(key, first_task(task, check, **options))

    def checked_support(support: Any) -> Examples:
        support = as_examples("support", support, **options)
        if check is not None:
            check("support", support)
        return support

    @functools.wraps(learner.adapt)
    def adapt(params: Params, support: Any, key: Any) -> Any:
        return learner.adapt(params, checked_support(support), key)

    steps = learner.follow

    def follow(params: Params, support: Any, key: Any, num_steps: int, note: Any) -> Any:
        assert steps is not None  # or the new learner has no follow either
        return steps(params, checked_support(support), key, num_steps, note)

    @functools.wraps(learner.predict)
    def predict(params: Params, adapted: Any, queries: Any) -> Any:
        check_type("inputs", queries, inputs)
        queries = as_arrays("inputs", queries)
        for leaf in jax.tree.leaves(queries):
            if leaf.ndim < axes:
                raise ConfigError("inputs", described(leaf), f"{axes} leading axes or more")
        outputs = learner.predict(params, adapted, queries)
        asked = jax.tree.leaves(queries)[0].shape[:axes] if jax.tree.leaves(queries) else ()
        if isinstance(outputs, jax.Array) and outputs.shape[:axes] != asked:
            raise ConfigError(
                "inputs",
                described(queries),
                f"{axes} leading axes of examples, which {described(outputs)}, the outputs, share",
            )
        return outputs

    @functools.wraps(learner.loss)
    def loss(params: Params, task: Any, key: Any) -> Any:
        return learner.loss(params, as_task(task, check, **options), key)

    return MetaLearner(init, adapt, predict, loss, None if steps is None else follow)


def scalar_loss(learner: MetaLearner) -> Callable[..., tuple[Any, dict[str, Any]]]:
    """Return a learner's loss, which raises where it is not a scalar with metrics.

    Args:
      learner: whose ``loss`` is wanted.

    Raises:
      ConfigError: when it is called and returns something else.
    """

    def loss(params: Params, task: Any, key: Any) -> tuple[Any, dict[str, Any]]:
        found = learner.loss(params, task, key)
        pair = isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Mapping)
        if not pair:
            shown = kind(found) if not isinstance(found, tuple) else ", ".join(map(kind, found))
            raise ConfigError(
                "the learner's loss", shown, "(loss, metrics), a scalar and a dict, e.g. (loss, {})"
            )
        if jnp.shape(found[0]) != ():
            raise ConfigError("the learner's loss", kind(found[0]), "a scalar, e.g. the mean")
        return found[0], dict(found[1])

    return loss


def checked_network(network: Any, field: str = "network") -> Any:
    """Return a network, or a sequence network, that says by name which arrays it cannot read.

    A call that succeeds costs nothing more.

    Args:
      network: a :class:`~metajax.core.Network` or :class:`~metajax.core.SequenceNetwork`.
      field: the name that an error gives it.

    Raises:
      ConfigError: ``network`` is none; from ``init`` and ``apply``, for inputs or parameters that
        the network was not made for.
    """
    check_network(network, field)

    @functools.wraps(network.init)
    def init(key: Any, *inputs: Any) -> Params:
        try:
            return network.init(key, *inputs)
        except Exception as error:
            if not is_misfit(error):
                raise
            raise _unreadable(inputs, error) from error

    def reading(function: Callable[..., Any], inputs_of: Callable[..., tuple[Any, ...]]) -> Any:
        """``function(params, ...)``, whose misfits are told from what ``init`` makes of inputs."""

        @functools.wraps(function)
        def read(params: Params, *args: Any) -> Any:
            try:
                return function(params, *args)
            except Exception as error:
                if not is_misfit(error):
                    raise
                raise _misfit(network, params, inputs_of(*args), error) from error

        return read

    whole = reading(network.apply, lambda *inputs: inputs)
    if isinstance(network, SequenceNetwork):
        prefill = reading(network.prefill, lambda tokens: (tokens,))
        decode = reading(network.decode, lambda state, token: (token[..., None, :],))
        return SequenceNetwork(init, whole, prefill, decode)
    return Network(init, whole)


def is_misfit(error: Exception) -> bool:
    """Return whether an error says that arrays do not fit what was called with them.

    Args:
      error: what a function of arrays raised.

    Returns:
      True for JAX's and NumPy's errors of shape and dtype, False for all others.
    """
    ours = isinstance(error, MetajaxError | jax.errors.JAXTypeError | jax.errors.JAXIndexError)
    flax = type(error).__module__.startswith("flax.")
    return not ours and (flax or isinstance(error, _MISFITS))


def _unreadable(inputs: Any, error: Exception) -> ConfigError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ConfigError("inputs", described(inputs), f"inputs that the network can read ({first})")


def _misfit(network: Any, params: Params, inputs: tuple[Any, ...], error: Exception) -> ConfigError:
    """What was wrong with a call that failed: parameters for such inputs tell."""

    def fresh(*inputs: Any) -> Params:
        return network.init(jax.random.key(0), *inputs)

    try:
        like = jax.eval_shape(fresh, *inputs)
    except Exception as unreadable:  # whatever the network raises
        return _unreadable(inputs, unreadable)
    made: Any = jax.tree.structure(like)
    if made != jax.tree.structure(params):
        return ConfigError("params", kind(params), "what the learner's init, or a run, returns")
    wanted = jax.tree_util.tree_leaves_with_path(params)
    for (path, leaf), other in zip(wanted, jax.tree.leaves(like), strict=True):
        if leaf.shape != other.shape:
            name = path_name(path)
            return ConfigError(
                "inputs",
                described(inputs),
                f"inputs of the features that the parameters were made for: {name} is "
                f"{list(leaf.shape)}, and would be {list(other.shape)} for these",
            )
    each = jax.vmap(network.apply, (None, *[0] * len(inputs)))
    try:
        jax.eval_shape(each, params, *inputs)
    except Exception:  # it does not take them one by one either
        return _unreadable(inputs, error)
    return ConfigError(
        "network",
        f"one that reads an example, given {described(inputs)}",
        "one that reads a batch: Network(network.init, jax.vmap(network.apply, (None, 0)))",
    )
