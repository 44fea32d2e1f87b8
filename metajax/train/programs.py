"""Digests of traced programs: what a function computes, and not how it is written.

The digest of a value is that of the expression that computes it: the primitive, its parameters and
the digests of its operands. Names, source lines, the order of independent lines, dead code, and
whether a part was wrapped in ``jit`` or ``checkpoint`` thus do not count.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jaxtyping import PyTree

from metajax.train.state import describe_shape

CALLS = frozenset(
    {
        "jit",
        "pjit",
        "closed_call",
        "core_call",
        "named_call",
        "remat",
        "remat2",
        "checkpoint",
        "custom_jvp_call",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
    }
)
"""Primitives that do no more than call the function that they hold."""

SAME = frozenset(
    {
        "copy",
        "copy_p",
        "name",
        "optimization_barrier",
        "sharding_constraint",
        "reshard",
        "mesh_cast",
        "pvary",
    }
)
"""Primitives whose outputs are their operands."""

COMMUTATIVE = frozenset({"add", "add_any", "mul", "and", "or", "xor"})

NO_MATTER = frozenset(
    {
        "name",
        "sharding",
        "out_sharding",
        "in_shardings",
        "out_shardings",
        "layout",
        "in_layouts",
        "out_layouts",
        "ctx_mesh",
        "linear",
        "unroll",
        "_split_transpose",
        "num_consts",
        "cond_nconsts",
        "body_nconsts",
        "debug_info",
        "name_and_src_info",
        "cost_estimate",
    }
)
"""Parameters of primitives that say how or where, not what, is computed."""


class Program(NamedTuple):
    """What a function computes.

    Attributes:
      form: digest of its operations, with the dtypes and shapes of its constants alone.
      full: digest of its operations and its constants.
      constants: its constants, numbers as they read and arrays by their digest, and how often each
        stands in it.
    """

    form: str
    full: str
    constants: dict[str, int]


class _Value(NamedTuple):
    """An expression's digests, without and with the values of its constants."""

    form: str
    full: str


def program_of(function: Callable[..., Any], *arguments: Any) -> tuple[Program, PyTree]:
    """Trace ``function``; nothing is compiled or run.

    Args:
      function: takes and returns pytrees.
      arguments: arrays, or ``jax.ShapeDtypeStruct`` in their place.

    Returns:
      What it computes, and the shapes and dtypes of what it returns.
    """
    with jax.disable_jit(False):  # control flow is one operation, whatever the caller debugs
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    walk = _Walk()
    value = walk.closed(closed, [])
    return Program(value.form, value.full, dict(sorted(walk.constants.items()))), shapes


def digest_of(leaf: Any) -> str:
    """The SHA-256 of an array's bytes, 32 hex digits of it."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    array = np.ascontiguousarray(jax.device_get(leaf))
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()[:32]


def _hash(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()


def _join(what: _Value, operands: Sequence[_Value]) -> _Value:
    return _Value(
        _hash(what.form, *(operand.form for operand in operands)),
        _hash(what.full, *(operand.full for operand in operands)),
    )


def _text(text: str) -> _Value:
    return _Value(text, text)


class _Walk:
    """One pass over a traced program."""

    def __init__(self) -> None:
        self.constants: Counter[str] = Counter()
        self.depth = 0  # of functions within functions: their arguments are told apart by it
        self.done = _text("")  # the effects so far, in their order
        self.known: dict[tuple[int, str], tuple[Any, _Value, str]] = {}

    def closed(self, function: ClosedJaxpr | Jaxpr, bound: Sequence[_Value]) -> _Value:
        """A function that a primitive holds, its first arguments ``bound`` to outer values."""
        before, self.done = self.done, _text("")
        self.depth += 1
        jaxpr = function.jaxpr if isinstance(function, ClosedJaxpr) else function
        free = jaxpr.invars[len(bound) :]
        arguments = [
            _text(f"argument {self.depth}.{i} {_aval(var.aval)}") for i, var in enumerate(free)
        ]
        outputs = self.call(function, [*bound, *arguments])
        value = _join(_text("function"), [*outputs, self.done])
        self.depth -= 1
        self.done = before
        return value

    def call(self, function: ClosedJaxpr | Jaxpr, arguments: Sequence[_Value]) -> list[_Value]:
        """The outputs of a function for these arguments."""
        if isinstance(function, ClosedJaxpr):
            jaxpr = function.jaxpr
            consts = [
                self.constant(const, var.aval)
                for const, var in zip(function.consts, jaxpr.constvars, strict=True)
            ]
        else:
            jaxpr = function
            consts = [
                _text(f"const {self.depth}.{i} {_aval(var.aval)}")
                for i, var in enumerate(jaxpr.constvars)
            ]
        known = dict(zip(jaxpr.constvars, consts, strict=True))
        known |= zip(jaxpr.invars, arguments, strict=True)

        def read(atom: Any) -> _Value:
            return self.constant(atom.val, atom.aval) if isinstance(atom, Literal) else known[atom]

        for equation in jaxpr.eqns:
            outputs = self.equation(equation, [read(atom) for atom in equation.invars])
            known |= zip(equation.outvars, outputs, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: JaxprEqn, operands: list[_Value]) -> list[_Value]:
        name, params = equation.primitive.name, dict(equation.params)
        if name in SAME:
            return operands
        if name == "convert_element_type" and params["new_dtype"] == _dtype(equation):
            return operands  # of the weak type alone
        if name in CALLS:
            held = next(v for v in params.values() if isinstance(v, (ClosedJaxpr, Jaxpr)))
            return self.call(held, operands)
        parts = [name]
        functions: list[_Value] = []
        # outer values go to where they are used, not by the order in which they were first used
        if name == "scan":
            num = _outer_values(params)
            functions = [self.closed(params.pop("jaxpr"), operands[:num])]
            operands = operands[num:]
        elif name == "while":
            first, second = params["cond_nconsts"], params["body_nconsts"]
            functions = [
                self.closed(params.pop("cond_jaxpr"), operands[:first]),
                self.closed(params.pop("body_jaxpr"), operands[first : first + second]),
            ]
            operands = operands[first + second :]
        elif name == "cond":
            functions = [self.closed(branch, operands[1:]) for branch in params.pop("branches")]
            operands = operands[:1]
        for key in sorted(params.keys() - NO_MATTER):
            parts.append(f"{key}={self.parameter(params[key], functions)}")
        if name in COMMUTATIVE:
            operands = sorted(operands)
        value = _join(_text(" ".join(parts)), [*functions, *operands])
        # printing for debugging changes no result
        if any("Debug" not in type(effect).__name__ for effect in equation.effects):
            self.done = value = _join(value, [self.done])
        return [
            _join(_text(f"output {i} {_aval(var.aval)}"), [value])
            for i, var in enumerate(equation.outvars)
        ]

    def parameter(self, value: Any, functions: list[_Value]) -> str:
        """A primitive's parameter as text; the functions and arrays in it go to ``functions``."""
        if isinstance(value, (ClosedJaxpr, Jaxpr)):
            functions.append(self.closed(value, []))
            return "function"
        if hasattr(value, "__array__") and getattr(value, "shape", None) is not None:
            functions.append(self.constant(value, value))
            return "array"
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, enum.Enum):
            return f"{type(value).__name__}.{value.name}"
        if isinstance(value, dict):
            value = sorted(value.items(), key=str)
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=str)
        if isinstance(value, (tuple, list)):
            return f"({', '.join(self.parameter(item, functions) for item in value)})"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [field.name for field in dataclasses.fields(value)]
            texts = [f"{name}={self.parameter(getattr(value, name), functions)}" for name in fields]
            return f"{type(value).__name__}({', '.join(texts)})"
        if callable(value) and hasattr(value, "__qualname__"):
            return value.__qualname__  # of a host function no more can be seen
        # what has no form of its own but its repr; an address in it is of this process alone
        return re.sub(r" at 0x[0-9a-fA-F]+|0x[0-9a-fA-F]{6,}", "", repr(value))

    def constant(self, value: Any, aval: Any) -> _Value:
        """A number or array that the program holds."""
        shape = describe_shape(aval)
        known = self.known.get((id(value), shape))
        if known is not None:
            _, found, name = known
        else:
            if jnp.issubdtype(aval.dtype, jax.dtypes.prng_key):
                name = f"{shape} {digest_of(value)}"
            else:
                array = np.asarray(jax.device_get(value), aval.dtype)
                name = f"{aval.dtype} {array[()]!s}" if not array.ndim else ""
                name = name or f"{shape} {digest_of(array)}"
            found = _Value(_hash("constant", shape), _hash("constant", name))
            # held, so that its id stays its own
            self.known[id(value), shape] = value, found, name
        self.constants[name] += 1
        return found


def _outer_values(params: dict[str, Any]) -> int:
    """How many operands of a scan are outer values; its parameters become those of jax 0.11."""
    if "ft_in" not in params:
        return params["num_consts"]
    consts, carry, _ = (list(part) for part in params.pop("ft_in").unpack())
    del params["ft_out"]
    params["num_carry"] = len(carry)
    return len(consts)


def _dtype(equation: Any) -> Any:
    """Of a primitive's first operand."""
    return equation.invars[0].aval.dtype


def _aval(aval: Any) -> str:
    return describe_shape(aval) if hasattr(aval, "dtype") else str(aval)
