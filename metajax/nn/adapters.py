"""A user's own network, from Flax Linen, Flax NNX or Equinox, as a :class:`metajax.core.Network`.

Each adapter keeps the static structure of a module and no arrays: parameters come in with every
call as a plain nested dict with string keys, so that a compiled step takes them as arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Key

from metajax.core import ConfigError, MetajaxError, Network, Params, kind, library


def _check_module(field: str, module: Any, of: str, expected: str) -> None:
    """Raise where a value is no module of the library ``of``, or is a class of them."""
    if inspect.isclass(module) or library(module) != of:
        raise ConfigError(field, kind(module), expected)


def from_linen(module: nn.Module, **apply_kwargs: Any) -> Network:
    """Take a Flax Linen module: ``init(key, *inputs)`` and ``apply(params, *inputs)``.

    Args:
      module: any Linen module whose only variables are its parameters.
      **apply_kwargs: keywords of the module's ``__call__`` that stay the same, such as
        ``train=False``; passed to ``init`` as well.

    Returns:
      The network.

    Raises:
      ConfigError: ``module`` is no Linen module.
      MetajaxError: from ``init``, where the module has other collections (``batch_stats``,
        ``cache``); from ``apply``, where it draws random numbers (dropout).

    Examples:
      >>> import flax.linen as nn
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import from_linen
      >>> network = from_linen(nn.Dense(2))
      >>> params = network.init(jax.random.key(0), jnp.zeros((5, 3)))
      >>> network.apply(params, jnp.zeros((5, 3))).shape
      (5, 2)
    """
    _check_module("module", module, "flax.linen", "a Flax Linen module, e.g. MLP(width=8)")

    def init(key: Key[Array, ""], *inputs: Any) -> Params:
        variables = flax.core.unfreeze(module.init(key, *inputs, **apply_kwargs))
        extra = sorted(set(variables) - {"params"})
        if extra:
            raise MetajaxError(
                f"{type(module).__name__} keeps the variable collections {', '.join(extra)} "
                "in addition to its params: from_linen takes modules without state, such as "
                "GroupNorm or LayerNorm in the place of BatchNorm"
            )
        return nn.meta.unbox(variables.get("params", {}))

    def apply(params: Params, *inputs: Any) -> Any:
        try:
            return module.apply({"params": params}, *inputs, **apply_kwargs)
        except flax.errors.InvalidRngError as error:
            raise MetajaxError(
                f"{type(module).__name__} draws random numbers as it is applied: from_linen takes "
                "deterministic modules, e.g. from_linen(module, deterministic=True) or train=False"
            ) from error

    return Network(init, apply)


def _string_keys(tree: Any) -> Any:
    """Make the keys of nested dicts strings: checkpoints do not tell ``0`` from ``"0"``."""
    if not isinstance(tree, dict):
        return tree
    return {str(key): _string_keys(value) for key, value in tree.items()}


def _keys_of(template: Any, tree: Any) -> Any:
    """Give ``tree``, whose keys are strings, the keys of ``template`` back."""
    if not isinstance(template, dict):
        return tree
    return {key: _keys_of(value, tree[str(key)]) for key, value in template.items()}


def _check_constructor(constructor: Any, expected: str, *args: Any, **kwargs: Any) -> None:
    """Raise where a value is no function, or a module, or does not take these arguments."""
    names = ", ".join([*map(repr, args), *kwargs])
    made = library(constructor) is not None and not inspect.isclass(constructor)
    if made or not callable(constructor):
        raise ConfigError("constructor", kind(constructor), expected)
    function, bound = constructor, args
    if inspect.isclass(constructor):  # NNX classes themselves say that they take anything
        function, bound = constructor.__init__, (None, *args)
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C: its call will tell
        return
    try:
        signature.bind(*bound, **kwargs)
    except TypeError as error:
        raise ConfigError(
            "constructor", kind(constructor), f"{expected}, called with ({names}): {error}"
        ) from error


def from_nnx(constructor: Callable[..., Any], *args: Any, **kwargs: Any) -> Network:
    """Take a Flax NNX module: ``constructor(*args, rngs=nnx.Rngs(key), **kwargs)``.

    ``init(key, *inputs)`` ignores the inputs, since NNX modules are told their sizes. The
    structure is traced once, here, without computing anything; ``apply`` merges it with the
    parameters and calls the module, and drops whatever the call leaves behind in it.

    Args:
      constructor: a class or function that makes the module; it must take ``rngs``.
      *args: passed on to it.
      **kwargs: passed on to it.

    Returns:
      The network.

    Raises:
      ConfigError: ``constructor`` is a module already or no function, or does not take the
        arguments or ``rngs``.
      MetajaxError: the module keeps variables other than ``nnx.Param``, such as the statistics of
        BatchNorm or the random state of Dropout, or arrays that are not variables.
    """
    from flax import nnx

    _check_constructor(
        constructor,
        "the class of an NNX module or a function that makes one",
        *args,
        rngs=None,
        **kwargs,
    )

    def build(key: Key[Array, ""]) -> Any:
        return constructor(*args, rngs=nnx.Rngs(key), **kwargs)

    others: set[str] = set()

    def trace() -> Any:
        module = build(jax.random.key(0))
        _check_module("constructor", module, "flax.nnx", "a function that makes an NNX module")
        # Every attribute, since NNX files an array that is not a variable as static structure.
        for _, node in nnx.iter_graph(module):
            if isinstance(node, nnx.Variable) and not isinstance(node, nnx.Param):
                others.add(type(node).__name__)
            elif isinstance(node, (jax.Array, np.ndarray)):
                others.add("plain array")
        return module

    abstract_module = nnx.eval_shape(trace)
    if others:
        raise MetajaxError(
            f"{getattr(constructor, '__name__', constructor)} keeps variables of the kinds "
            f"{', '.join(sorted(others))} in addition to its Params: from_nnx takes modules "
            "without state, e.g. with LayerNorm in the place of BatchNorm and no rngs given to "
            "Dropout"
        )
    structure, abstract = nnx.split(abstract_module)
    template = nnx.to_pure_dict(abstract)

    def init(key: Key[Array, ""], *inputs: Any) -> Params:
        return _string_keys(nnx.to_pure_dict(nnx.state(build(key))))

    def apply(params: Params, *inputs: Any) -> Any:
        state = jax.tree.map(lambda leaf: leaf, abstract)  # a copy: the next call fills it in place
        nnx.replace_by_pure_dict(state, _keys_of(template, params))
        return nnx.merge(structure, state)(*inputs)

    return Network(init, apply)


def _names(path: tuple[Any, ...]) -> list[str]:
    return [jax.tree_util.keystr((entry,), simple=True) for entry in path]


def from_equinox(constructor: Callable[[Key[Array, ""]], Any]) -> Network:
    """Take an Equinox module: ``constructor(key) -> module``.

    ``init(key, *inputs)`` ignores the inputs and returns the module's floating-point arrays, a
    nested dict by attribute name and position. The rest of the module is found once, here,
    without computing anything. ``apply(params, *inputs)`` calls the module with its own
    signature: most take ONE example, so map over a batch as Equinox does,
    ``jax.vmap(network.apply, (None, 0))``, and a module that takes a ``key`` by keyword alone
    needs a constructor that puts it in inference mode (``equinox.nn.inference_mode``).

    Args:
      constructor: makes the module of a key.

    Returns:
      The network.

    Raises:
      ConfigError: ``constructor`` is a module already or no function of a key, or makes no module.
      MetajaxError: Equinox is not installed, or the module keeps state (``equinox.nn.StateIndex``,
        as in BatchNorm) or arrays that are not floating-point, which no gradient could train.
    """
    try:
        import equinox as eqx
    except ImportError as error:
        raise MetajaxError("from_equinox needs Equinox: pip install equinox") from error

    expected = "a function of a key that makes an Equinox module, lambda key: Module(..., key=key)"
    _check_constructor(constructor, expected, None)
    static: Any = None

    def trace(key: Key[Array, ""]) -> Any:
        nonlocal static
        module = constructor(key)
        _check_module("constructor", module, "equinox", expected)
        arrays, static = eqx.partition(module, eqx.is_inexact_array)
        return arrays

    template = jax.eval_shape(trace, jax.random.key(0))
    name = getattr(constructor, "__name__", repr(constructor))
    nodes = jax.tree.leaves(static, is_leaf=lambda node: isinstance(node, eqx.nn.StateIndex))
    if any(isinstance(node, eqx.nn.StateIndex) for node in nodes):
        raise MetajaxError(
            f"{name} keeps state (equinox.nn.StateIndex): from_equinox takes modules without, "
            "e.g. with LayerNorm or GroupNorm in the place of BatchNorm"
        )
    fixed = [
        ".".join(_names(path))
        for path, leaf in jax.tree_util.tree_leaves_with_path(static)
        if isinstance(leaf, (jax.Array, np.ndarray))
    ]
    if fixed:
        raise MetajaxError(
            f"{name} keeps arrays that are not floating-point in {', '.join(fixed)}: make them in "
            "__call__, or pass them as inputs"
        )

    def init(key: Key[Array, ""], *inputs: Any) -> Params:
        params: dict[str, Any] = {}
        arrays = eqx.filter(constructor(key), eqx.is_inexact_array)
        for path, leaf in jax.tree_util.tree_leaves_with_path(arrays):
            *parents, last = _names(path)
            node = params
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = jnp.asarray(leaf)  # Equinox counts NumPy arrays too
        return params

    def apply(params: Params, *inputs: Any) -> Any:
        def value(path: tuple[Any, ...], _: Any) -> Any:
            node = params
            for part in _names(path):
                node = node[part]
            return node

        return eqx.combine(jax.tree_util.tree_map_with_path(value, template), static)(*inputs)

    return Network(init, apply)
