"""Read formulas of ``x`` and ``y`` from text without running code; their size is bounded.

Precedence climbing turns a formula into a list of instructions for a stack. The cost of evaluating
it grows with its length alone. Its constants are floats and are computed once, while reading. NumPy
evaluates it on NumPy's arrays, which compiles nothing, and JAX on all others.
"""

from __future__ import annotations

import difflib
import functools
import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float

from metajax.core import ConfigError, shown
from metajax.physics.pde import namespace

LONGEST = 10_000
"""Characters of a formula at most."""
MOST_STEPS = 2000
"""Instructions of a formula at most: from 4000 on XLA may take minutes to compile them."""
DEEPEST = 50
"""Parentheses, signs and powers within each other at most."""
CONSTANTS = {"pi": math.pi, "e": math.e}
WORD = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|<=|>=|==|!=|[-+*/(),<>])|(?P<end>\Z))",
    re.ASCII,
)
HINTS = {
    "^": "is not the power; ** is",
    "=": "is not a comparison; == is",
    "&": "is not a word of formulas; and is",
    "|": "is not a word of formulas; or is",
}
"""What to write in place of other languages' signs."""


class Operation(NamedTuple):
    """A function or an operator of formulas.

    Attributes:
      of_numbers: its value on constants; raises where there is none.
      of_arrays: its value on arrays.
      least: fewest arguments.
      most: most arguments.
      takes: kind of its arguments, ``float`` or ``bool``; the first one of ``where`` is a ``bool``.
      gives: kind of its value.
    """

    of_numbers: Callable[..., Any]
    of_arrays: Callable[..., Any]
    least: int = 1
    most: int = 1
    takes: type = float
    gives: type = float


def power(base: Any, exponent: Any) -> Array:
    """``base ** exponent``; small whole exponents have all derivatives, also where base <= 0."""
    whole = isinstance(exponent, float) and exponent.is_integer() and abs(exponent) <= 64
    return base ** (int(exponent) if whole else exponent)


def on_arrays(name: str) -> Callable[..., Any]:
    """The function of this name in the namespace of the arrays that it is given."""

    def call(*values: Any) -> Any:
        return getattr(namespace(values), name)(*values)

    return call


def repeated(name: str) -> Callable[..., Array]:
    """A function of two or more arguments from one of two."""
    of_two = on_arrays(name)
    return lambda *values: functools.reduce(of_two, values)


def erf(value: Any) -> Any:
    """The error function."""
    return (jax.scipy.special if namespace(value) is jnp else scipy.special).erf(value)


def sign(value: float) -> float:
    """-1, 0 or 1."""
    return float((value > 0) - (value < 0))


def choose(condition: bool, first: float, second: float) -> float:
    """``where`` of constants."""
    return first if condition else second


FUNCTIONS: dict[str, Operation] = {
    **{
        name: Operation(getattr(math, name), on_arrays(name))
        for name in (
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "exp",
            "expm1",
            "log",
            "log1p",
            "log2",
            "log10",
            "sqrt",
            "cbrt",
            "floor",
            "ceil",
        )
    },
    "abs": Operation(abs, on_arrays("abs")),
    "sign": Operation(sign, on_arrays("sign")),
    "erf": Operation(math.erf, erf),
    "atan2": Operation(math.atan2, on_arrays("arctan2"), 2, 2),
    "hypot": Operation(math.hypot, on_arrays("hypot"), 2, 2),
    "min": Operation(min, repeated("minimum"), 2, 9),
    "max": Operation(max, repeated("maximum"), 2, 9),
    "where": Operation(choose, on_arrays("where"), 3, 3),
}
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
BINARY: dict[str, tuple[int, Operation]] = {
    "or": (1, Operation(operator.or_, on_arrays("logical_or"), 2, 2, bool, bool)),
    "and": (2, Operation(operator.and_, on_arrays("logical_and"), 2, 2, bool, bool)),
    "+": (5, Operation(operator.add, operator.add, 2, 2)),
    "-": (5, Operation(operator.sub, operator.sub, 2, 2)),
    "*": (6, Operation(operator.mul, operator.mul, 2, 2)),
    "/": (6, Operation(operator.truediv, operator.truediv, 2, 2)),
    "**": (8, Operation(operator.pow, power, 2, 2)),
}
"""Operators between two values with their precedence; those that bind first have the highest."""
NOT, COMPARISON, SIGNED = 3, 4, 7
"""Precedences of the others, as in Python."""
UNARY = {
    "-": (SIGNED, Operation(operator.neg, operator.neg)),
    "+": (SIGNED, Operation(operator.pos, operator.pos)),
    "not": (NOT, Operation(operator.not_, on_arrays("logical_not"), takes=bool, gives=bool)),
}
KNOWN = (
    f"{', '.join(CONSTANTS)}, numbers, + - * / **, the functions {', '.join(FUNCTIONS)}, and "
    "in where(condition, a, b) comparisons with and, or, not"
)
"""Parts of formulas other than variables, for errors."""
RESERVED = frozenset((*CONSTANTS, *FUNCTIONS, "and", "or", "not"))
"""Names that no variable may have."""


class Unreadable(Exception):
    """Reason why a text is not a formula."""


class Step(NamedTuple):
    """An instruction for the stack of values.

    Attributes:
      function: of the values it takes; of all variables where it takes none.
      taken: how many.
      constant: the value to push, where it is known.
    """

    function: Callable[..., Any]
    taken: int = 0
    constant: float | bool | None = None


class Formula:
    """A function of variables that :func:`read_formula` has made.

    Args:
      text: what it was read from.
      variables: names of its arguments, in order.
      steps: its instructions.
    """

    def __init__(self, text: str, variables: tuple[str, ...], steps: tuple[Step, ...]):
        self.text, self.variables, self.steps = text, variables, steps

    def __call__(self, *values: Float[Array, "*n"]) -> Any:
        """Return the value at points: an array, or a float where no variable matters."""
        stack: list[Any] = []
        with np.errstate(all="ignore"):  # infinite or no number, as JAX has it
            for function, taken, constant in self.steps:
                if constant is not None:
                    stack.append(constant)
                elif taken:
                    stack[-taken:] = [function(*stack[-taken:])]
                else:
                    stack.append(function(*values))
        return stack[0]

    def __eq__(self, other: object) -> bool:
        # JAX takes equal functions for one, and compiles them once
        if not isinstance(other, Formula):
            return False
        return (self.text, self.variables) == (other.text, other.variables)

    def __hash__(self) -> int:
        return hash((self.text, self.variables))

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"


def read_formula(
    field: str,
    text: str,
    variables: Sequence[str] = ("x", "y"),
    conditions: Sequence[str] = (),
) -> Formula:
    """Read a formula.

    Args:
      field: what errors call it.
      text: arithmetic of the variables, ``pi``, ``e`` and numbers, with Python's operators, the
        functions in ``FUNCTIONS``, and comparisons in the condition of ``where``.
      variables: names of what the formula is a function of.
      conditions: names of more arguments, which hold or not, for ``where``.

    Raises:
      ConfigError: the text is not a formula; the message says where, and names the nearest
        function.
    """
    if len(text) > LONGEST:
        raise ConfigError(field, text, f"a formula of at most {LONGEST:,} characters")
    try:
        steps = Reader(text, variables, conditions).read()
    except Unreadable as error:
        known = f"{', '.join((*variables, *conditions))}, {KNOWN}"
        raise ConfigError(field, text, f"a formula, but {error}; it may hold {known}") from error
    return Formula(text, (*variables, *conditions), steps)


class Word(NamedTuple):
    """A word of a formula: number, name, sign or end; its text; the character it begins at."""

    kind: str
    text: str
    place: int

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end"
        return f"{shown(self.text)} at character {self.place}"


def split(text: str) -> list[Word]:
    """Cut a formula into words, the last of which is its end."""
    found: list[Word] = []
    place = 0
    while not found or found[-1].kind != "end":
        match = WORD.match(text, place)
        if match is None:
            rest = text[place:].lstrip()
            hint = HINTS.get(rest[0], "has no meaning")
            raise Unreadable(f"{Word('sign', rest[0], len(text) - len(rest) + 1)} {hint}")
        kind = str(match.lastgroup)
        found.append(Word(kind, match[kind], match.start(kind) + 1))
        place = match.end()
    return found


class Reader:
    """What is left of a formula while it is read, and the steps found so far."""

    def __init__(self, text: str, variables: Sequence[str], conditions: Sequence[str]):
        self.words = split(text)
        self.variables = (*variables, *conditions)
        self.conditions = conditions
        self.depth = 0
        self.steps: list[Step] = []

    def read(self) -> tuple[Step, ...]:
        """Read all of it."""
        self.words.reverse()  # the next word is the last
        need(float, self.expression(0), "the formula")
        if self.next.kind != "end":
            raise Unreadable(f"{self.next} stands where an operator, such as *, is missing")
        if len(self.steps) > MOST_STEPS:
            raise Unreadable(f"it has {len(self.steps):,} operations, more than {MOST_STEPS:,}")
        return tuple(self.steps)

    @property
    def next(self) -> Word:
        """The next word."""
        return self.words[-1]

    def expect(self, text: str) -> None:
        """Step over the next word, which must be ``text``."""
        if self.next.text != text:
            raise Unreadable(f"{self.next} stands where {text!r} is missing")
        self.words.pop()

    def expression(self, least: int) -> type:
        """Read a value and the operators after it of precedence ``least`` or more."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"more than {DEEPEST} parentheses, signs and powers in each other")
        gives = self.value()
        while True:
            if self.next.text in COMPARISONS and least <= COMPARISON:
                gives = self.comparison(gives)
                continue
            precedence, operation = BINARY.get(self.next.text, (-1, None))
            if operation is None or precedence < least:
                break
            word = self.words.pop()
            need(operation.takes, gives, f"what stands before {word}")
            # powers are read from the right
            right = self.expression(SIGNED if word.text == "**" else precedence + 1)
            need(operation.takes, right, f"what stands after {word}")
            if word.text == "/" and self.steps[-1].constant == 0:
                raise Unreadable(f"{word} divides by 0")
            gives = self.apply(word, operation, 2)
        self.depth -= 1
        return gives

    def comparison(self, gives: type) -> type:
        """Read a comparison whose first value was read; ``a < b < c`` holds where both do."""
        compare, taken = [], 1
        need(float, gives, f"what stands before {self.next}")
        first = self.next
        while self.next.text in COMPARISONS:
            word = self.words.pop()
            compare.append(COMPARISONS[word.text])
            need(float, self.expression(COMPARISON + 1), f"what stands after {word}")
            taken += 1

        def all_hold(*values: Any) -> Any:
            pairs = zip(compare, values[:-1], values[1:], strict=True)
            return functools.reduce(operator.and_, [one(a, b) for one, a, b in pairs])

        return self.apply(first, Operation(all_hold, all_hold, gives=bool), taken)

    def value(self) -> type:
        """Read a number, a variable, a function's value, or what a sign or parentheses begin."""
        word = self.words.pop()
        if word.text in UNARY:
            precedence, operation = UNARY[word.text]
            need(operation.takes, self.expression(precedence), f"what stands after {word}")
            return self.apply(word, operation, 1)
        if word.text == "(":
            gives = self.expression(0)
            self.expect(")")
            return gives
        if word.kind == "number":
            if len(word.text) > 1 and word.text.startswith("0") and word.text.isdigit():
                raise Unreadable(f"{word} is a number with a 0 before it, as in a date")
            return self.push(word, float(word.text))
        if word.text in CONSTANTS:
            return self.push(word, CONSTANTS[word.text])
        if word.text in self.variables:
            self.steps.append(Step(argument(self.variables.index(word.text))))
            return bool if word.text in self.conditions else float
        if word.kind == "name":
            return self.call(word)
        raise Unreadable(f"{word} stands where a value is missing")

    def call(self, word: Word) -> type:
        """Read the arguments of a function."""
        operation = FUNCTIONS.get(word.text)
        if operation is None:
            known = *FUNCTIONS, *CONSTANTS, *self.variables
            near = difflib.get_close_matches(word.text, known, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise Unreadable(f"{word} is an unknown name{hint}")
        self.expect("(")
        given = [self.expression(0)]
        while self.next.text == ",":
            self.words.pop()
            given.append(self.expression(0))
        self.expect(")")
        if not operation.least <= len(given) <= operation.most:
            wanted = " to ".join(map(str, sorted({operation.least, operation.most})))
            raise Unreadable(f"{word} takes {wanted} arguments, and {len(given)} are given")
        for place, gives in enumerate(given):
            condition = word.text == "where" and place == 0
            need(bool if condition else float, gives, f"argument {place + 1} of {word}")
        return self.apply(word, operation, len(given))

    def apply(self, word: Word, operation: Operation, taken: int) -> type:
        """Add the step of an operation, or the constant that it makes of constants."""
        constants = [step.constant for step in self.steps[-taken:]]
        if None in constants:
            self.steps.append(Step(operation.of_arrays, taken))
            return operation.gives
        try:
            value = operation.of_numbers(*constants)
        except (ArithmeticError, ValueError) as error:
            raise Unreadable(f"{word} has no value at {constants}") from error
        del self.steps[-taken:]
        return self.push(word, value)

    def push(self, word: Word, value: Any) -> type:
        """Add the step of a constant, which must be a finite real number or a truth value."""
        if isinstance(value, complex) or not math.isfinite(value):
            raise Unreadable(f"{word} makes {value}, which is no finite real number")
        value = value if isinstance(value, bool) else float(value)
        self.steps.append(Step(lambda *values: value, 0, value))
        return type(value)


def argument(place: int) -> Callable[..., Any]:
    """The function that returns the argument at this place."""
    return lambda *values: values[place]


def need(wanted: type, found: type, what: str) -> None:
    """Reject a condition for a number or the other way round."""
    if wanted is not found:
        words: dict[type, str] = {float: "a number", bool: "a condition, such as x < 0"}
        raise Unreadable(f"{what} must be {words[wanted]}")
