"""The nouns: every part of metajax is a pure function over pytrees, grouped in NamedTuples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Int32, Key, PyTree, Scalar

Params = PyTree
"""A network's or a learner's parameters: a nested dict of arrays."""
Metrics = dict[str, Any]
"""Named arrays that a loss or an update reports; averaged over tasks and logged by the loop."""


class Examples(NamedTuple):
    """Supervised examples: ``inputs`` and ``targets`` share their leading (example) axes.

    Leaves may carry further leading axes, e.g. several sequences of one task. ``targets`` holds
    integer class indices for classification and floats for regression.
    """

    inputs: PyTree
    targets: PyTree


class Task(NamedTuple):
    """One task: ``support`` is what a learner may look at, ``query`` is what it is scored on.

    Supervised tasks hold :class:`Examples` in both; a physics or PDE system defines its own two
    pytrees.
    """

    support: Any
    query: Any


class TaskDistribution(Protocol):
    """Any pytree that maps a key to a task: ``tasks(key) -> Task``.

    The call is pure and traceable, so ``jax.vmap`` over keys makes a batch and sampling runs on
    the device inside the compiled step. Arrays that it draws from are its leaves. A distribution
    that depends on how far training is takes the step too: :class:`metajax.core.Staged`.
    """

    def __call__(self, key: Key[Array, ""], /) -> Any: ...


class Network(NamedTuple):
    """A network as two pure functions.

    Attributes:
      init: ``init(key, *inputs) -> params``; params is a nested dict of arrays.
      apply: ``apply(params, *inputs) -> outputs``.
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]


class SequenceNetwork(NamedTuple):
    """A causal network over sequences, read all at once or one element at a time.

    Attributes:
      init: ``init(key, tokens[*batch, time, features]) -> params``.
      apply: ``apply(params, tokens[*batch, time, features]) -> outputs[*batch, time, classes]``,
        the dense pass used for training.
      prefill: ``prefill(params, tokens[*batch, time, features]) -> state``, the state after
        reading a prefix (``time`` may be 0): a key-value cache, or a recurrent state.
      decode: ``decode(params, state, token[*batch, features]) -> (outputs[*batch, classes],
        state)``, one step; equal to the dense pass at that position to float tolerance.
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    prefill: Callable[..., Any]
    decode: Callable[..., Any]


Follow = Callable[[Params, Any, Key[Array, ""], int, Callable[[Any], Any]], tuple[Any, Any]]
"""How a learner that adapts in steps is followed; see :class:`MetaLearner`."""


class MetaLearner(NamedTuple):
    """A system that learns tasks, as pure functions, each for ONE task.

    Attributes:
      init: ``init(key, task) -> params``, the meta-parameters.
      adapt: ``adapt(params, support, key) -> adapted``: a key-value cache (reading a context),
        tuned weights (descending a gradient) or generated weights (a hypernetwork).
      predict: ``predict(params, adapted, inputs) -> outputs`` for query inputs; ``adapted`` is
        left as it was, so each query is answered from the support alone.
      loss: ``loss(params, task, key) -> (scalar, metrics)``, what meta-training descends.
      follow: of a learner that adapts in steps, ``follow(params, support, key, num_steps, note) ->
        (adapted, notes)``. ``adapted`` is what ``adapt`` would give if it took ``num_steps`` steps,
        0 or more. ``notes`` is ``note(adapted)`` after 0 to ``num_steps`` of them, stacked on a
        leading axis of ``num_steps + 1``. ``note`` is pure and traceable. None of a learner that
        takes no steps; :func:`metajax.core.follow_of` rejects those.
    """

    init: Callable[[Key[Array, ""], Any], Params]
    adapt: Callable[[Params, Any, Key[Array, ""]], Any]
    predict: Callable[[Params, Any, Any], Any]
    loss: Callable[[Params, Any, Key[Array, ""]], tuple[Scalar, Metrics]]
    follow: Follow | None = None


class Algorithm(NamedTuple):
    """One meta-training step, as pure functions.

    Attributes:
      init: ``init(key, task) -> state``; ``state`` is any pytree of arrays.
      update: ``update(state, tasks, key, axis_name=None) -> (state, metrics)``. The leaves of
        ``tasks`` carry a leading task axis. ``metrics`` must hold a scalar ``"loss"``; a scalar
        ``"grad_norm"``, where present, is watched for non-finite values too. ``axis_name`` names
        the mapped device axis over which the tasks of a step are split (``pmap``), or is None where
        ``tasks`` holds all of them. :func:`metajax.core.over_tasks` calls a function for each task
        with a key of its own and averages over the axis. So the result does not depend on the
        layout.
      params: ``params(state) -> params``, what a learner's ``adapt`` and ``predict`` take.
      stages: what ``update`` does first, for :func:`metajax.train.profile`, by name and in order:
        ``stage(state, tasks, key)`` does what the stage before it does and continues from there.
        :func:`metajax.core.gradient` has ``forward``, the loss, and ``backward``, its gradient.
        None by default.
      at: of an algorithm that takes branches by the number of updates done, ``at(state, done) ->
        state``: the state with this number. So states that are updated together can share one
        number, and a branch stays a branch under ``vmap``: :func:`metajax.train.population`. None
        of all others.
    """

    init: Callable[[Key[Array, ""], Any], Any]
    update: Callable[..., tuple[Any, Metrics]]
    params: Callable[[Any], Params]
    stages: Mapping[str, Callable[..., Any]] = MappingProxyType({})
    at: Callable[[Any, Int32[Array, ""]], Any] | None = None


class HostFed(NamedTuple):
    """Tasks whose raw material is read on the host, for sets too large for the device.

    Attributes:
      batches: an iterable whose iterators yield a pytree of numpy arrays per meta-step, each with a
        leading task axis of ``tasks_per_step``. They have ``get_state()`` and ``set_state(state)``,
        as a Grain ``IterDataset`` has, so that a resumed run continues reading where the stopped
        run was.
      assemble: ``assemble(key, raw) -> Task`` for one task, pure and traceable, a pytree as a
        task distribution is; it runs on the device inside the compiled step.
    """

    batches: Any
    assemble: Callable[[Key[Array, ""], Any], Any]


class Evaluator(NamedTuple):
    """A measurement that the training loop makes along training.

    Attributes:
      name: prefix of the metrics in the log, ``name/metric``.
      every: meta-steps between measurements; the last step is always measured.
      function: ``function(params, key) -> {metric: value}``, run on the host between
        dispatches. Compile what is heavy in it with ``jax.jit`` and pass arrays as arguments.
    """

    name: str
    every: int
    function: Callable[[Params, Key[Array, ""]], dict[str, Any]]
