"""Let ``vmap`` over a row-wise network hand it one bigger batch instead of one more axis."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, PyTree


def merge_vmapped_rows(function: Callable[..., Array]) -> Callable[..., Array]:
    """Wrap ``function(params, *rows[n, ...]) -> outputs[n, ...]`` so that ``vmap`` merges rows.

    ``function`` must treat its rows alike and apart: ``function(params, rows)[i]`` depends on
    ``rows[i]`` alone; rows may be several arrays with one leading axis. Under ``jax.vmap`` over
    rows with shared params it is then called once on ``rows[b * n, ...]``. So it is compiled as it
    was written: 2-D matrix products, loops over sequences, the gradient of shared weights as one
    contraction. The batching rules of its single operations would give contractions over two axes
    instead, which are several times slower on XLA:CPU. Where params are mapped too, ``function`` is
    vmapped as usual. Derivatives are those of ``function``, of any order and mode that it allows.
    """

    def merged(params: PyTree, *rows: Array) -> Array:
        leaves, treedef = jax.tree.flatten(params)
        return _merged_rows.bind(*leaves, *rows, function=function, treedef=treedef)

    return merged


def merged_program(equation: JaxprEqn) -> ClosedJaxpr | None:
    """Return the program of the function that an equation calls, if it is a wrapped one.

    Args:
      equation: of a program, as ``jax.make_jaxpr`` gives it.

    Returns:
      A program of the same inputs and outputs, or None for an equation of another kind.
    """
    if equation.primitive is not _merged_rows:
        return None
    values: list[Any] = [variable.aval for variable in equation.invars]
    inputs = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in values]
    return jax.make_jaxpr(functools.partial(_call, **equation.params))(*inputs)


def _call(*args: Any, function: Callable[..., Array], treedef: Any) -> Array:
    leaves, rows = args[: treedef.num_leaves], args[treedef.num_leaves :]
    return function(jax.tree.unflatten(treedef, leaves), *rows)


def _batch(args: Any, dims: Any, **static: Any):
    count = static["treedef"].num_leaves
    if any(dim is not None for dim in dims[:count]):
        return jax.vmap(functools.partial(_call, **static), in_axes=tuple(dims))(*args), 0
    leaves, rows, dims = args[:count], args[count:], dims[count:]
    size = next(row.shape[dim] for row, dim in zip(rows, dims, strict=True) if dim is not None)
    rows = [
        jax.numpy.broadcast_to(row[None], (size, *row.shape))
        if dim is None
        else jax.numpy.moveaxis(row, dim, 0)
        for row, dim in zip(rows, dims, strict=True)
    ]
    leading = rows[0].shape[:2]
    outputs = _merged_rows.bind(*leaves, *(jax.lax.collapse(row, 0, 2) for row in rows), **static)
    return outputs.reshape(leading + outputs.shape[1:]), 0


def _differentiate(primals: Any, tangents: Any, **static: Any):
    # Differentiating the function itself, in the arguments that vary, leaves no trace of the
    # primitive: vmap inside grad has merged by now, and grad inside vmap sees plain operations.
    active = [i for i, t in enumerate(tangents) if not isinstance(t, ad.Zero)]

    def of_active(*values):
        args = list(primals)
        for i, value in zip(active, values, strict=True):
            args[i] = value
        return _call(*args, **static)

    return jax.jvp(of_active, [primals[i] for i in active], [tangents[i] for i in active])


def _abstract(*args: Any, **static: Any):
    (output,) = jax.make_jaxpr(functools.partial(_call, **static))(*args).out_avals
    return output


_merged_rows = Primitive("merged_rows")
_merged_rows.def_impl(jax.jit(_call, static_argnames=("function", "treedef")))
_merged_rows.def_abstract_eval(_abstract)
batching.primitive_batchers[_merged_rows] = _batch
ad.primitive_jvps[_merged_rows] = _differentiate
mlir.register_lowering(_merged_rows, mlir.lower_fun(_call, multiple_results=False))
