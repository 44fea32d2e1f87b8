"""The one training loop."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from tqdm.auto import tqdm

from metajax.core import (
    Algorithm,
    ConfigError,
    Evaluator,
    HostFed,
    Params,
    apart_from_surroundings,
    check_algorithm,
    check_key,
    derive,
    is_jit_disabled,
    kind,
    one_of,
    stream,
)
from metajax.train.checkpoint import Checkpointer
from metajax.train.errors import HostDataError, Interrupted, NonFiniteError
from metajax.train.fingerprints import fingerprint
from metajax.train.identity import OnChanged, check_identity, newest_step, note_identity
from metajax.train.metrics import MetricsLog, lines_of, plain
from metajax.train.paths import as_path, is_remote, write_whole
from metajax.train.processes import agree, from_first, is_first, lost_noticed
from metajax.train.signals import signals_noted
from metajax.train.state import check_names, strong
from metajax.train.step import (
    WATCHED,
    Layout,
    LoopState,
    OnNonFinite,
    Parallel,
    Partition,
    largest_axis,
    make_layout,
    make_steps,
)
from metajax.train.workdir import open_workdir, renew_config, start_over

log = logging.getLogger("metajax")

# One dispatch: short enough to answer a signal, long beside its cost. On CPU that is the page
# faults of its temporaries, which XLA takes from the system anew each time: 66 ms for 100 MB.
DISPATCH_SECONDS = 2.0


class Fit(NamedTuple):
    """What :func:`fit` returns.

    Attributes:
      state: the algorithm's final state.
      params: the final meta-parameters, for a learner's ``adapt`` and ``predict``.
      step: meta-steps done.
      history: the rows of ``metrics.jsonl``, each with its ``step``.
      compile_seconds: wall time of tracing and compiling the meta-step, 0 if nothing was left
        to do.
      seconds: wall time of this call.
      skipped: meta-steps left out by ``on_nonfinite="skip"``.
    """

    state: Any
    params: Params
    step: int
    history: list[dict[str, Any]]
    compile_seconds: float
    seconds: float
    skipped: int


@apart_from_surroundings
def fit(
    algorithm: Algorithm,
    tasks: Any,
    *,
    steps: int,
    tasks_per_step: int,
    key: Key[Array, ""],
    workdir: str | os.PathLike | None = None,
    config: dict[str, Any] | None = None,
    may_change: Sequence[str] = (),
    evaluators: Sequence[Evaluator] = (),
    parallel: Parallel = "none",
    devices: Sequence[jax.Device] | None = None,
    model_devices: int = 1,
    partition: Partition = largest_axis,
    on_nonfinite: OnNonFinite = "stop",
    on_changed: OnChanged = "raise",
    log_every: int = 100,
    checkpoint_every: int = 1000,
    keep_last: int = 3,
    keep_every: int | None = None,
    tensorboard: bool = False,
    progress: bool = True,
) -> Fit:
    """Meta-train ``algorithm`` on ``tasks`` for ``steps`` steps of ``tasks_per_step`` tasks.

    Args:
      algorithm: ``init``, ``update`` and ``params``, e.g. from :func:`metajax.core.gradient`.
      tasks: a task distribution, a callable pytree sampled on the device inside the compiled
        step, or :class:`~metajax.core.HostFed` batches.
      steps: meta-steps of the whole run, a resumed one included. A finished run given more of
        them is extended, and ends as a run of that many from the start does, bit for bit, log and
        all; an algorithm made from the number of steps, such as a schedule that ends with the
        last, is another algorithm then. Fewer than are done already are rejected.
      tasks_per_step: tasks of one meta-step, over all devices.
      key: a typed key; it and the step number decide every draw.
      workdir: folder for ``config.json``, ``metrics.jsonl`` and checkpoints, on this machine or
        in a store as ``gs://bucket/run``. Where it holds a
        checkpoint of the same run, the run goes on from there, and its final state equals bit
        for bit that of a run never stopped. None keeps everything in memory.
      config: JSON values that identify the run in its workdir, beside the arguments that decide
        its result; a workdir of another config is refused.
      may_change: dotted paths of values in ``config`` that do not decide the result, for which
        no workdir is rejected, such as ``"config.eval_tasks"``.
      evaluators: measurements taken every so many steps and after the last; their metrics are
        logged as ``name/metric``. Each is given the same key every time, hence the same tasks.
      parallel: ``none``; ``jit``, one program over a mesh of all ``devices``; or ``pmap``.
      devices: which devices to use, all by default.
      model_devices: with ``parallel="jit"``, how many devices hold one copy of the algorithm's
        state between them, where it is too large for each; they work on the same tasks.
      partition: how they split each array, ``(path, shape, model_devices) -> PartitionSpec`` over
        the axis ``model``; by default along its largest axis that divides, small ones not at all.
      on_nonfinite: when a step's loss, gradient or new parameters are not finite: ``stop``
        raises, with the state before that step in the error; ``skip`` leaves that step's update
        out and counts it.
      on_changed: when the workdir holds another run, finished or not: ``raise``; ``restart``
        moves it to ``workdir/previous/`` and trains from step 0; ``ignore`` resumes it with this
        algorithm and these tasks, with a warning, where the config and the arguments that identify
        the run are the same. What counts is in ``docs/training.md``.
      log_every: steps averaged into one logged row.
      checkpoint_every: steps between checkpoints; the last step is always saved.
      keep_last: how many of the newest checkpoints stay.
      keep_every: checkpoints at multiples of this many steps stay for ever.
      tensorboard: also log scalars to ``workdir/tensorboard`` (needs the extra of that name).
      progress: show a progress bar.

    A caller's ambient mesh (``jax.set_mesh``) and transfer guard do not reach the run, evaluators
    included; what it returns is on all devices of that mesh. Under ``jax.disable_jit`` every
    operation runs by itself, slowly, and results agree up to rounding.

    Raises:
      ConfigError: an argument is out of range, or not what it should be, such as a learner in
        place of an algorithm.
      WorkdirError: the workdir is in use, holds another run, or cannot be written.
      NonFiniteError: see ``on_nonfinite``.
      Interrupted: SIGTERM or SIGINT (Ctrl-C) came. The error carries ``state``, ``params``,
        ``step`` and ``history``; with a workdir the state is saved too.
      CheckpointError: a checkpoint could not be written, or does not fit the algorithm.
    """
    check_algorithm(algorithm)
    evaluators = _checked_evaluators(evaluators)
    for name, value in (
        ("steps", steps), ("log_every", log_every), ("checkpoint_every", checkpoint_every),
        ("keep_last", keep_last), ("keep_every", 1 if keep_every is None else keep_every),
        *((f"evaluators[{e.name}].every", e.every) for e in evaluators),
    ):  # fmt: skip
        if not isinstance(value, Integral) or value < 1:
            raise ConfigError(name, value, "a whole number of 1 or more")
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.shape:
        raise ConfigError("key", key, "one typed key, e.g. jax.random.key(0)")
    check_key("key", key)
    sampled = tasks.assemble if isinstance(tasks, HostFed) else tasks
    if not callable(sampled) or any(leaf is sampled for leaf in jax.tree.leaves(sampled)):
        raise ConfigError(
            "tasks", kind(sampled),
            "a callable pytree, whose arrays are its leaves: a registered dataclass with a "
            "__call__, or jax.tree_util.Partial(function, *arrays)",
        )  # fmt: skip
    one_of("on_nonfinite", on_nonfinite, ("stop", "skip"))
    one_of("on_changed", on_changed, ("raise", "restart", "ignore"))
    layout = make_layout(
        parallel, tasks_per_step, devices, model_devices=model_devices, partition=partition
    )
    start = time.perf_counter()
    # on no device in particular, so that it can meet arrays on any
    key_data = np.asarray(jax.random.key_data(key))
    key = jax.random.wrap_key_data(jnp.asarray(key_data), impl=jax.random.key_impl(key))
    run = _Run(algorithm, tasks, steps, tasks_per_step, key, evaluators, layout, on_nonfinite)
    run.log_every, run.checkpoint_every = log_every, checkpoint_every
    identity = _identity(steps, tasks_per_step, key_data, on_nonfinite, config)
    with contextlib.ExitStack() as stack:
        path = None if workdir is None else as_path(workdir)
        if path is not None and tensorboard and is_remote(path):
            raise ConfigError("tensorboard", tensorboard, f"off, for the store of {path}")
        if path is not None:
            opened = open_workdir(
                path, identity, ("steps", *may_change), restart=on_changed == "restart"
            )
            from_first(lambda: stack.enter_context(opened) and None)
            run.found = from_first(lambda: newest_step(path))  # before the first moves anything
            if on_changed == "restart" and (run.found or 0) > steps:
                from_first(lambda: start_over(path, identity) and None)
                run.found = None
            run.open_tasks()
            trained: list[dict[str, Any]] = []
            from_first(
                lambda: trained.extend(
                    check_identity(path, run.fingerprint(), identity, on_changed)
                )
            )
            run.checkpointer = Checkpointer(
                path / "checkpoints", keep_last=keep_last, keep_every=keep_every
            )
            stack.callback(run.checkpointer.close)
            if (done := run.checkpointer.good_step or 0) > steps:
                raise ConfigError(
                    "steps",
                    steps,
                    f"{done} or more, which the run in {path} has done already: a run can be "
                    "extended, not shortened. For a shorter one name another workdir, or start "
                    'over with on_changed="restart"',
                )
            from_first(lambda: renew_config(path, identity))
        run.signals = stack.enter_context(signals_noted())
        run.initialise()
        if path is not None:  # only now: what did not fit the checkpoint has not resumed it
            from_first(lambda: note_identity(path, trained))
        run.log = MetricsLog(
            path if is_first() else None, step=run.step, drop=run.dropped, tensorboard=tensorboard
        )
        stack.callback(run.log.close)
        run.bar = stack.enter_context(
            tqdm(
                total=steps, initial=run.step, unit="step",
                disable=not (progress and is_first()),
                mininterval=0.5 if sys.stderr.isatty() else 10, dynamic_ncols=True,
            )
        )  # fmt: skip
        with lost_noticed():
            run.train()
        state = layout.collect(run.state)
        return Fit(
            state=state.algorithm,
            params=algorithm.params(state.algorithm),
            step=run.step,
            history=run.log.rows,
            compile_seconds=run.compile_seconds,
            seconds=time.perf_counter() - start,
            skipped=int(state.skipped),
        )


def _checked_evaluators(evaluators: Any) -> tuple[Evaluator, ...]:
    """Return evaluators as a tuple.

    Raises:
      ConfigError: one is none.
    """
    if isinstance(evaluators, Evaluator) or not isinstance(evaluators, Sequence):
        raise ConfigError("evaluators", kind(evaluators), "a sequence of Evaluators")
    for index, evaluator in enumerate(evaluators):
        if not isinstance(evaluator, Evaluator):
            raise ConfigError(
                f"evaluators[{index}]", kind(evaluator), "an Evaluator(name, every, function)"
            )
    return tuple(evaluators)


def _identity(
    steps: int, tasks_per_step: int, key_data: Any, on_nonfinite: str, config: dict[str, Any] | None
) -> dict[str, Any]:
    """What ``config.json`` says of a run: the arguments that decide its result, and ``config``."""
    identity = {
        "steps": steps,
        "tasks_per_step": tasks_per_step,
        "key": key_data.tolist(),
        "on_nonfinite": on_nonfinite,
    }
    if taken := sorted(identity.keys() & (config or {}).keys()):
        raise ConfigError("config", taken, f"other names than {', '.join(identity)}")
    return identity | (config or {})


def _effort(level: int) -> Any:
    """Compiler options that have LLVM optimise at ``level``, on CPU; its default there is 3.

    At 1 the meta-step of GPICL compiled in 70% of the time and ran as fast.
    """
    on_cpu = jax.default_backend() == "cpu"
    return {"xla_backend_optimization_level": level} if on_cpu else None


def compiled(function: Any, *arguments: Any, effort: int) -> Any:
    """Compile a jitted function for arguments; under ``jax.disable_jit`` it stays as it is."""
    if is_jit_disabled():
        return function  # it runs each operation by itself
    return function.lower(*arguments).compile(_effort(effort))


def _encode(position: Any) -> Any:
    """An iterator's position as JSON: Grain gives a dict of numbers, or bytes."""
    if isinstance(position, bytes):
        return {"base64": base64.b64encode(position).decode()}
    return {"json": json.loads(json.dumps(position))}


def _decode(saved: dict[str, Any]) -> Any:
    return base64.b64decode(saved["base64"]) if "base64" in saved else saved["json"]


class _Pending(NamedTuple):
    """A dispatch whose metrics are still being computed."""

    first_step: int
    num_steps: int
    rows: Any


class _Run:
    """The state of one call of :func:`fit`, and its phases."""

    def __init__(
        self, algorithm, tasks, steps, tasks_per_step, key, evaluators, layout: Layout, on_nonfinite
    ):
        self.algorithm, self.tasks = algorithm, tasks
        self.steps, self.tasks_per_step = steps, tasks_per_step
        self.key, self.evaluators, self.layout = key, evaluators, layout
        self.streams = (stream(key, "tasks"), stream(key, "update"))
        self.on_nonfinite = on_nonfinite
        self.log_every = self.checkpoint_every = 1
        self.checkpointer: Checkpointer | None = None
        self.found: int | None = None  # the newest checkpoint, before the checkpointer has looked
        self.log = MetricsLog(None)
        self.bar: Any = None
        self.signals: list[int] = []
        self.batches: Any = None
        self.device_tasks: Any = None
        self.raw: list[Any] = []
        self.step = 0
        self.state: Any = None
        self.window: list[dict[str, Any]] = []  # metrics since the last logged row
        # of the rows of the last step, those that are only there because it is the last: whose
        # they are (an evaluator's name, or "" for the training's) and their place
        self.only_last: list[tuple[str, int]] = []
        self.last_window: list[dict[str, Any]] = []  # the metrics behind such a training row
        self.dropped: set[int] = set()
        self.compile_seconds = 0.0
        # host batches of a whole dispatch wait on the device: few then, else what a log row needs
        self.capacity = min(8 if isinstance(tasks, HostFed) else 1000, steps)

    def open_tasks(self) -> None:
        """Take the tasks, and the raw material of the first one where the host feeds them."""
        if self.device_tasks is None and isinstance(self.tasks, HostFed):
            self.device_tasks, self.raw = strong(self.tasks.assemble), [self._first_raw()]
        elif self.device_tasks is None:
            self.device_tasks = strong(self.tasks)

    def fingerprint(self) -> dict[str, Any]:
        return fingerprint(
            self.algorithm, self.device_tasks, self.raw, tasks_per_step=self.tasks_per_step,
            key=self.key,
        )  # fmt: skip

    def initialise(self) -> None:
        """Make the first state, or take the newest good checkpoint's, and place the arrays."""
        self.open_tasks()

        def first_state(key, tasks, raw):
            task = tasks(derive(key, "tasks"), *raw)
            state = self.algorithm.init(derive(key, "init"), task)
            return LoopState(strong(state), jnp.int32(-1), jnp.int32(0))

        arguments = (self.key, self.device_tasks, self.raw)
        if self.checkpointer:
            like = jax.eval_shape(first_state, *arguments)
            check_names(like.algorithm)
        if self.checkpointer and self.checkpointer.good_step is not None:
            state, meta = self.checkpointer.restore(like)
            self.step = meta["step"]
            if self.batches is not None:
                self.batches.set_state(_decode(meta["position"]))
            if self.step < self.steps:
                log.info("going on from the checkpoint at step %d", self.step)
                self._take_up(meta["window"], meta.get("only_last", []))
        else:  # runs once: optimising it takes longer than it saves
            state = compiled(jax.jit(first_state), *arguments, effort=0)(*arguments)
        self.state = self.layout.place(state)
        self.device_tasks = self.layout.distribute(self.device_tasks)

    def _take_up(self, window: list[dict[str, Any]], only_last: list[tuple[str, int]]) -> None:
        """Take up the log where the checkpoint left it.

        Rows that are there only because the run ended at this step are taken back, where it is
        extended: a longer run does not have them.
        """
        every = {"": self.log_every} | {e.name: e.every for e in self.evaluators}
        kept = {name for name, _ in only_last if name in every and self.step % every[name] == 0}
        self.dropped = {place for name, place in only_last if name not in kept}
        self.window = [] if "" in kept else window

    def _first_raw(self) -> Any:
        """Open the host batches, check one, and return the raw material of its first task."""
        self.batches = iter(self.tasks.batches)
        if not (hasattr(self.batches, "get_state") and hasattr(self.batches, "set_state")):
            raise ConfigError(
                "tasks.batches", type(self.tasks.batches).__name__,
                "an iterable whose iterators have get_state() and set_state(), e.g. a Grain "
                "IterDataset",
            )  # fmt: skip
        position = self.batches.get_state()
        batch = self._next_batch(0)
        self.batches.set_state(position)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(batch)]
        if any(shape[:1] != (self.tasks_per_step,) for shape in shapes):
            raise ConfigError(
                "tasks.batches", f"arrays of shapes {shapes}",
                f"a leading axis of tasks_per_step = {self.tasks_per_step}",
            )  # fmt: skip
        return jax.tree.map(lambda x: x[0], batch)

    def _next_batch(self, step: int) -> Any:
        try:
            return next(self.batches)
        except StopIteration:
            raise ConfigError(
                "tasks.batches", f"ended after {step} batches",
                f"one for each of {self.steps} steps; repeat the data set",
            ) from None  # fmt: skip
        except Exception as error:  # whatever the reader of a broken file raises
            raise HostDataError(
                f"the batch of step {step + 1} could not be read ({type(error).__name__}: "
                f"{error}); {self._kept()} Mend the data, and run the same command again to go on."
            ) from error

    def train(self) -> None:
        if self.step >= self.steps:
            self.bar.refresh()
            if asked := agree(self.signals[0] if self.signals else 0, 1)[0]:
                raise self._interrupted(asked)
            return
        run_steps = self._compile()
        pending: _Pending | None = None
        size = 1
        last = time.perf_counter()
        while True:
            asked, size = agree(self.signals[0] if self.signals else 0, size)
            if asked or self.step >= self.steps:
                break
            num = min(size, self._next_event() - self.step)
            raw = self._read(num)
            self.state, rows = run_steps(
                self.state, self.device_tasks, raw, self.streams, np.int32(self.step), np.int32(num)
            )
            launched = _Pending(self.step, num, rows)
            self.step += num
            # the metrics of the dispatch before are fetched while this one runs
            if pending is not None:
                self._take(pending)
                now = time.perf_counter()
                seconds, last = max(now - last, 1e-9), now  # clocks may stand, or be set back
                size = int(
                    min(self.capacity, 2 * size, DISPATCH_SECONDS * pending.num_steps / seconds)
                )
                size = max(size, 1)
            pending = launched
            if self.step == self._event_after(self.step - 1):
                self._take(pending)
                pending = None
                self._at_event()
                last = time.perf_counter()
        if pending is not None:
            self._take(pending)
        if asked:
            if self.checkpointer is not None:
                self.checkpointer.wait()  # this very step may be the one being saved
                if self.checkpointer.good_step != self.step:
                    self._save()
                    self.checkpointer.wait()
            raise self._interrupted(asked)

    def _compile(self):
        run_steps = make_steps(
            self.algorithm, self.tasks, self.state, tasks_per_step=self.tasks_per_step,
            capacity=self.capacity, layout=self.layout, on_nonfinite=self.on_nonfinite,
        )  # fmt: skip
        position = self.batches.get_state() if self.batches is not None else None
        raw = self._read(1)
        if self.batches is not None:
            self.batches.set_state(position)
        start = time.perf_counter()
        self.bar.set_postfix_str("compiling")
        run_steps = compiled(
            run_steps, self.state, self.device_tasks, raw, self.streams, np.int32(0), np.int32(1),
            effort=1,
        )  # fmt: skip
        self.compile_seconds = time.perf_counter() - start
        self.bar.set_postfix_str("")
        return run_steps

    def _read(self, num: int):
        """Host batches for ``num`` steps, padded to the compiled capacity; () if device-sampled."""
        if self.batches is None:
            return ()
        read = [self._next_batch(self.step + i) for i in range(num)]
        read += [read[-1]] * (self.capacity - num)
        return self.layout.split(jax.tree.map(lambda *leaves: np.stack(leaves), *read))

    def _periods(self) -> list[int]:
        periods = [self.log_every, *(evaluator.every for evaluator in self.evaluators)]
        return [*periods, self.checkpoint_every] if self.checkpointer else periods

    def _event_after(self, step: int) -> int:
        return min([self.steps, *((step // every + 1) * every for every in self._periods())])

    def _next_event(self) -> int:
        return self._event_after(self.step)

    def _take(self, pending: _Pending) -> None:
        """Fetch a dispatch's metrics into the window; stop if one was not finite."""
        rows, finite = jax.device_get(self.layout.collect(pending.rows))
        for i in range(pending.num_steps):
            row = {name: plain(value[i]) for name, value in rows.items()}
            if self.on_nonfinite == "stop" and not finite[i]:
                watched = {name: float(rows[name][i]) for name in WATCHED if name in rows}
                state = self.layout.collect(self.state).algorithm
                done, params = pending.first_step + i, self.algorithm.params(state)
                raise NonFiniteError(
                    done + 1, watched, self._kept(), state, params, self._history(done)
                )
            self.window.append(row)
        self.bar.update(pending.num_steps)
        if (loss := self.window[-1]["loss"]) is not None:
            self.bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)

    def _kept(self) -> str:
        kept = self.found
        if self.checkpointer is not None:
            self.checkpointer.wait()
            kept = self.checkpointer.good_step
        if kept is None:
            return "no checkpoint had been saved."
        return f"the checkpoint of step {kept} is kept."

    def _history(self, step: int) -> list[dict[str, Any]]:
        """The logged rows, and one of the steps up to ``step`` that no row averages yet."""
        if not self.window:
            return self.log.rows
        return [*self.log.rows, {"step": step, **plain(self._means())}]

    def _interrupted(self, signum: int) -> Interrupted:
        """The error that ends a run which a signal stops, with what the run has done."""
        if self.checkpointer is None:
            kept = (
                "no workdir was given: what is done is in `state`, `params`, `step` and `history`"
            )
            kept += " of this error."
        elif self.checkpointer.good_step == self.step:
            kept = "the state is saved. Run the same command again to resume it."
        else:
            kept = f"{self._kept()} Run the same command again to resume it."
        state = self.layout.collect(self.state).algorithm
        return Interrupted(
            signum,
            f"step {self.step}",
            kept,
            state=state,
            params=self.algorithm.params(state),
            step=self.step,
            history=self._history(self.step),
        )

    def _at_event(self) -> None:
        """Log, evaluate and save, where the step calls for it, in this order."""
        done = self.step == self.steps
        due = [e for e in self.evaluators if done or self.step % e.every == 0]
        if done:
            rows = [("", self.log_every), *((e.name, e.every) for e in due)]
            self.only_last = [(n, i) for i, (n, every) in enumerate(rows) if self.step % every]
            self.last_window = self.window if self.step % self.log_every else []
        if done or self.step % self.log_every == 0:
            self._write_window()
        if due:
            params = self.algorithm.params(self.layout.collect(self.state).algorithm)
        for evaluator in due:
            if is_first():
                key = derive(self.key, f"evaluate {evaluator.name}")
                try:
                    metrics = evaluator.function(params, key)
                except Interrupted as inner:  # of a fit inside the evaluator, which took the signal
                    raise self._interrupted(inner.signum) from inner
                self.log.write(
                    self.step, {f"{evaluator.name}/{name}": v for name, v in metrics.items()}
                )
        if self.checkpointer and (done or self.step % self.checkpoint_every == 0):
            self._save()
            if done:
                self.checkpointer.wait()

    def _means(self) -> dict[str, Any]:
        """The mean over the steps since the last row, of those that were finite."""
        means: dict[str, Any] = {}
        for name in dict.fromkeys(name for row in self.window for name in row):
            # a resumed run may report other metrics than it did before
            each = [row.get(name) for row in self.window]
            values = [np.asarray(value, float) for value in each if value is not None]
            means[name] = np.mean(values, axis=0) if values else None
        if self.on_nonfinite == "skip":
            means["skipped"] = int(self.layout.collect(self.state).skipped)
        return means

    def _write_window(self) -> None:
        self.log.write(self.step, self._means())
        self.window = []

    def _save(self) -> None:
        assert self.checkpointer is not None
        self.log.sync()
        state = self.layout.saved(self.state)
        meta: dict[str, Any] = {
            "step": self.step,
            "window": [*self.last_window, *self.window],
            "only_last": self.only_last,
        }
        if self.batches is not None:
            meta["position"] = _encode(self.batches.get_state())
        self.checkpointer.save(self.step, state, meta)


@apart_from_surroundings
def restore_params(
    workdir: str | os.PathLike, algorithm: Algorithm, tasks: Any, key: Key[Array, ""]
) -> tuple[Params, int]:
    """Return the newest good checkpoint's meta-parameters and its step, changing nothing.

    Args:
      workdir: a folder that :func:`fit` has written, here or in a store.
      algorithm: as it was given to :func:`fit`.
      tasks: a task distribution of the same shapes.
      key: any key; it only serves to learn the shapes of the state.

    Raises:
      CheckpointError: there is no checkpoint, or it does not fit ``algorithm``.
    """
    checkpointer = Checkpointer(as_path(workdir) / "checkpoints", read_only=True)
    state = jax.eval_shape(lambda tasks: strong(algorithm.init(key, tasks(key))), strong(tasks))
    number: Any = jax.ShapeDtypeStruct((), jnp.int32)
    with contextlib.closing(checkpointer):
        restored, meta = checkpointer.restore(LoopState(state, number, number))
    return algorithm.params(restored.algorithm), meta["step"]


@apart_from_surroundings
def save_finished(
    workdir: str | os.PathLike,
    result: Fit,
    *,
    algorithm: Algorithm,
    tasks: Any,
    tasks_per_step: int,
    key: Key[Array, ""],
    config: dict[str, Any] | None = None,
    on_changed: OnChanged = "raise",
) -> None:
    """Write what :func:`fit` leaves in a workdir, of a run that was trained another way.

    ``config.json``, ``metrics.jsonl`` and the last checkpoint; :func:`restore_params` reads it, and
    the same call of :func:`fit` finds it finished. The arguments are those of :func:`fit`; tasks
    are sampled on the device.

    Raises:
      WorkdirError: the workdir is in use, holds another run, or cannot be written.
      CheckpointError: the checkpoint could not be written.
    """
    key_data = np.asarray(jax.random.key_data(key))
    identity = _identity(result.step, tasks_per_step, key_data, "stop", config)
    with open_workdir(workdir, identity, restart=on_changed == "restart") as path:
        new = fingerprint(algorithm, strong(tasks), [], tasks_per_step=tasks_per_step, key=key)
        trained = check_identity(path, new, identity, on_changed)
        write_whole(path / "metrics.jsonl", lines_of(result.history))
        checkpointer = Checkpointer(path / "checkpoints")
        if checkpointer.good_step != result.step:
            state = LoopState(result.state, jnp.int32(-1), jnp.int32(0))
            checkpointer.save(result.step, state, {"step": result.step, "window": []})
        note_identity(path, trained)
        checkpointer.close()
