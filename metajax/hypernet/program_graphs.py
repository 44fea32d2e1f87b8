"""The graph of a program: what a function computes, with its parameters as nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jaxtyping import Float, PyTree

from metajax.core import ConfigError, path_name
from metajax.nn import Graph, merged_program

KINDS: dict[str, tuple[str, ...]] = {
    "parameter": (),
    "input": (),
    "output": (),
    "carry": (),
    "matmul": ("dot_general", "ragged_dot_general"),
    "convolution": ("conv_general_dilated",),
    "add": ("add", "sub", "add_any"),
    "multiply": ("mul", "div"),
    "reduction": (
        *(f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or")),
        *("reduce_window", "reduce_window_sum", "reduce_window_max", "reduce_window_min"),
        *("argmax", "argmin", "sort", "top_k", "cumsum", "cumprod", "cummax", "cumlogsumexp"),
    ),
    "lookup": ("gather", "dynamic_slice", "scatter", "scatter-add", "dynamic_update_slice"),
    "rectifier": ("max", "min", "clamp", "abs", "sign"),
    "saturating": ("tanh", "logistic", "erf", "atan2"),
    "exponential": ("exp", "exp2", "log", "log1p", "expm1"),
    "power": ("pow", "integer_pow", "square", "sqrt", "rsqrt", "cbrt"),
    "wave": ("sin", "cos", "tan", "fft"),
}
"""Kinds of nodes, and the primitives of JAX that make a node of each kind. Other primitives, which
move numbers or change their type, are passed through."""
AXES = 4
"""Axes of a shape that are among the features, the last ones."""
_KIND_OF = {primitive: kind for kind, names in KINDS.items() for primitive in names}
_ORDER = list(KINDS)
FEATURES = len(KINDS) + AXES + 5
"""Features of a node."""

Sources = frozenset[int]
"""Nodes that a value was made from without another node between."""


class ProgramGraph(NamedTuple):
    """What a function computes.

    Attributes:
      graph: its nodes with their features, and its edges in both directions. The features of an
        edge are (1, 0) from a value to what is made from it, and (0, 1) back.
      parameters: the node of each leaf of the parameters, by its path such as ``Dense_0/kernel``,
        in the order of ``jax.tree.leaves``.
      kinds: the kind of each node, a key of ``KINDS``.
      lengths: for each node the steps of the ``scan`` that it is part of, for a leaf of the
        parameters those of the ``scan`` that it is stacked for, and 0 otherwise.
    """

    graph: Graph
    parameters: dict[str, int]
    kinds: tuple[str, ...]
    lengths: tuple[int, ...]


@dataclasses.dataclass
class _Found:
    """Nodes and edges found so far."""

    kinds: list[str] = dataclasses.field(default_factory=list)
    shapes: list[tuple[int, ...]] = dataclasses.field(default_factory=list)
    lengths: list[int] = dataclasses.field(default_factory=list)
    edges: set[tuple[int, int]] = dataclasses.field(default_factory=set)

    def node(
        self, kind: str, shape: Sequence[int], length: int = 0, sources: Iterable[int] = ()
    ) -> int:
        """Add a node that is made from others."""
        number = len(self.kinds)
        self.kinds.append(kind)
        self.shapes.append(tuple(shape))
        self.lengths.append(length)
        self.join(sources, number)
        return number

    def join(self, sources: Iterable[int], number: int) -> None:
        """Add edges to a node."""
        self.edges.update((source, number) for source in sources if source != number)


def program_graph(apply: Callable[..., Any], params: PyTree, *inputs: Any) -> ProgramGraph:
    """Read the graph of a function from its program, as ``jax.make_jaxpr`` gives it.

    There is a node for each leaf of the parameters, each input, each output, and each equation
    that computes: products, convolutions, sums, reductions, activations, lookups. Nothing is
    computed. Equations within ``jit``, ``checkpoint``, ``custom_jvp``, ``custom_vjp``, ``scan``,
    ``while_loop`` and ``cond`` are found too. The body of a loop is read once: what it passes on is
    a node ``carry``, and a leaf stacked for ``scan`` is one node that has the number of steps as
    its length. Conditions are not followed. Equations that do not depend on parameters or inputs,
    or that no output depends on, are left out.

    The features of a node are its kind (one-hot), ``log(1 + size)`` of its last ``AXES`` axes (0
    for those it lacks), its number of axes and ``log(1 + length)``. Three more tell where it is:
    ``log(1 + steps)`` from the nearest input and to the nearest output, and the first number of
    steps as a share of both. Sizes of the inputs, such as that of a batch, are thus among the
    features. Graphs of networks as in Zhang, Ren and Urtasun (2019, arXiv 1810.05749) and Knyazev
    et al. (2021, arXiv 2110.13100), which are made by hand there.

    Args:
      apply: ``apply(params, *inputs)``, any function that JAX can trace.
      params: its parameters, arrays or their shapes.
      *inputs: its inputs, arrays or their shapes.

    Returns:
      The graph.

    Raises:
      ConfigError: there are no parameters.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import program_graph
      >>> from metajax.nn import mlp
      >>> network, x = mlp([8], 2), jnp.zeros((1, 3))
      >>> params = network.init(jax.random.key(0), x)
      >>> program = program_graph(network.apply, params, x)
      >>> list(program.parameters)
      ['Dense_0/bias', 'Dense_0/kernel', 'Dense_1/bias', 'Dense_1/kernel']
      >>> program.kinds[5:]
      ('matmul', 'add', 'rectifier', 'matmul', 'add', 'output')
    """
    paths = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    if not paths:
        raise ConfigError("params", params, "one array or more")
    program = jax.make_jaxpr(apply)(params, *inputs)
    found = _Found()
    sources = []
    for number, variable in enumerate(program.jaxpr.invars):
        kind = "parameter" if number < len(paths) else "input"
        sources.append(frozenset({found.node(kind, _shape(variable))}))
    outputs = _read(found, program.jaxpr, sources, 0)
    for made, variable in zip(outputs, program.jaxpr.outvars, strict=True):
        found.node("output", _shape(variable), sources=made)
    found = _without_constants(found)
    forward = np.array(sorted(found.edges), np.int32).reshape(-1, 2)
    both = np.concatenate([forward, forward[:, ::-1]])
    direction: Any = np.repeat(np.eye(2, dtype=np.float32), len(forward), axis=0)
    features: Any = _features(found)
    graph = Graph(features, both[:, 0], both[:, 1], direction)
    parameters = {path: number for number, path in enumerate(paths)}
    return ProgramGraph(graph, parameters, tuple(found.kinds), tuple(found.lengths))


def _read(found: _Found, jaxpr: Jaxpr, sources: Sequence[Sources], length: int) -> list[Sources]:
    """Add the nodes of a program, and return the sources of its outputs."""
    known: dict[Any, Sources] = dict(zip(jaxpr.invars, sources, strict=True))

    def of(value: Any) -> Sources:
        return frozenset() if isinstance(value, Literal) else known.get(value, frozenset())

    for equation in jaxpr.eqns:
        made = _equation(found, equation, [of(value) for value in equation.invars], length)
        known.update(zip(equation.outvars, made, strict=True))
    return [of(value) for value in jaxpr.outvars]


def _equation(
    found: _Found, equation: JaxprEqn, inputs: list[Sources], length: int
) -> list[Sources]:
    """Add the nodes of an equation, and return the sources of its outputs."""
    name, given = equation.primitive.name, equation.params
    if name == "scan":
        constants, carries, steps = given["num_consts"], given["num_carry"], given["length"]
        for made in inputs[constants + carries :]:
            for node in made if len(made) == 1 else ():
                if found.kinds[node] == "parameter" and found.shapes[node][:1] == (steps,):
                    found.lengths[node] = steps
        return _loop(found, given["jaxpr"].jaxpr, inputs, constants, carries, steps)
    if name == "while":
        inputs = inputs[given["cond_nconsts"] :]
        constants = given["body_nconsts"]
        body = given["body_jaxpr"].jaxpr
        return _loop(found, body, inputs, constants, len(inputs) - constants, length)
    if name == "cond":
        branches = [_read(found, one.jaxpr, inputs[1:], length) for one in given["branches"]]
        return [frozenset().union(*made) for made in zip(*branches, strict=True)]
    for inner in (merged_program(equation), *given.values()):
        inner = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
        if isinstance(inner, Jaxpr) and len(inner.invars) == len(inputs):
            return _read(found, inner, inputs, length)
    everything: Sources = frozenset().union(*inputs)
    if name in _KIND_OF:
        shape = _shape(equation.outvars[0])
        everything = frozenset({found.node(_KIND_OF[name], shape, length, everything)})
    return [everything] * len(equation.outvars)


def _loop(
    found: _Found, body: Jaxpr, inputs: list[Sources], constants: int, carries: int, length: int
) -> list[Sources]:
    """Add the nodes of a loop's body, once, with a node for each value that it passes on."""
    sources = list(inputs)
    for number in range(constants, constants + carries):
        shape = _shape(body.invars[number])
        sources[number] = frozenset({found.node("carry", shape, length, inputs[number])})
    made = _read(found, body, sources, length)
    for start, end in zip(sources[constants : constants + carries], made[:carries], strict=True):
        found.join(end, *start)
    return made


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of a variable or a literal of a program."""
    return value.aval.shape


def _without_constants(found: _Found) -> _Found:
    """Leave out nodes that depend on no parameter or input, or that no output depends on."""
    ends = {"parameter", "input", "output"}
    back = {(end, start) for start, end in found.edges}
    starts = [n for n, kind in enumerate(found.kinds) if kind in ("parameter", "input")]
    outputs = [n for n, kind in enumerate(found.kinds) if kind == "output"]
    ahead, behind = _distances(found.edges, starts), _distances(back, outputs)
    kept = [n for n, kind in enumerate(found.kinds) if kind in ends or (n in ahead and n in behind)]
    place = {n: number for number, n in enumerate(kept)}
    rest = _Found()
    for n in kept:
        rest.node(found.kinds[n], found.shapes[n], found.lengths[n])
    rest.edges = {(place[a], place[b]) for a, b in found.edges if a in place and b in place}
    return rest


def _distances(edges: Iterable[tuple[int, int]], starts: Iterable[int]) -> dict[int, int]:
    """The fewest steps from any of some nodes to each that can be reached."""
    following: dict[int, list[int]] = {}
    for start, end in edges:
        following.setdefault(start, []).append(end)
    steps = dict.fromkeys(starts, 0)
    last = list(steps)
    while last:
        reached = {end for start in last for end in following.get(start, ()) if end not in steps}
        steps.update(dict.fromkeys(reached, steps[last[0]] + 1))
        last = list(reached)
    return steps


def _features(found: _Found) -> Float[np.ndarray, "nodes features"]:
    """The features of all nodes."""
    inputs = [n for n, kind in enumerate(found.kinds) if kind == "input"]
    outputs = [n for n, kind in enumerate(found.kinds) if kind == "output"]
    ahead = _distances(found.edges, inputs)
    behind = _distances({(end, start) for start, end in found.edges}, outputs)
    for start, end in sorted(found.edges):
        # a parameter is where it is first read
        if found.kinds[start] == "parameter" and end in ahead:
            ahead[start] = min(ahead.get(start, ahead[end]), ahead[end])
    rows = np.zeros((len(found.kinds), FEATURES), np.float32)
    for n, (kind, shape) in enumerate(zip(found.kinds, found.shapes, strict=True)):
        rows[n, _ORDER.index(kind)] = 1
        last = shape[-AXES:]
        start, end = ahead.get(n, 0), behind.get(n, 0)
        rows[n, len(KINDS) + AXES - len(last) : len(KINDS) + AXES] = np.log1p(last)
        rows[n, len(KINDS) + AXES :] = [
            len(shape),
            np.log1p(found.lengths[n]),
            np.log1p(start),
            np.log1p(end),
            start / max(start + end, 1),
        ]
    return rows
