"""The one training loop."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import time
from collections.abc import Sequence
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
    apart_from_surroundings,
    at_step,
    check_algorithm,
    check_one_key,
    derive,
    is_jit_disabled,
    one_of,
    stream,
)
from metajax.train.arguments import check_counts, check_tasks, checked_evaluators
from metajax.train.checkpoint import Checkpointer
from metajax.train.errors import Interrupted, NonFiniteError
from metajax.train.fingerprints import fingerprint
from metajax.train.finished import Fit
from metajax.train.host_batches import HostBatches
from metajax.train.identity import (
    OnChanged,
    check_identity,
    newest_step,
    note_identity,
    run_config,
)
from metajax.train.metrics import MetricsLog, plain
from metajax.train.paths import as_path, is_remote
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
from metajax.train.window import Window
from metajax.train.workdir import open_workdir, renew_config, start_over

log = logging.getLogger("metajax")

# One dispatch: short enough to answer a signal, long next to its own cost. On CPU that is the page
# faults of its temporaries, which XLA takes from the system again each time: 66 ms for 100 MB.
DISPATCH_SECONDS = 2.0


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
        step, :class:`~metajax.core.Staged` where it depends on the step, or
        :class:`~metajax.core.HostFed` batches.
      steps: meta-steps of the whole run, a resumed one included. A finished run is extended if it
        is given more steps. It then ends with the same bits and log as a run of that many steps
        from the start. An algorithm that is made from the number of steps, such as a schedule that
        ends with the last, is a different algorithm then. Fewer steps than are done already are
        rejected.
      tasks_per_step: tasks of one meta-step, over all devices.
      key: a typed key; it and the step number decide every draw.
      workdir: folder for ``config.json``, ``metrics.jsonl`` and checkpoints, on this machine or
        in a store as ``gs://bucket/run``. Where it holds a
        checkpoint of the same run, the run resumes from there, and its final state equals bit
        for bit that of a run never stopped. None keeps everything in memory.
      config: JSON values that identify the run in its workdir, with the arguments that decide
        its result; a workdir of another config is rejected.
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

    Returns:
      The final state, meta-parameters and metrics.

    Raises:
      ConfigError: an argument is out of range, or not what it should be, such as a learner in
        place of an algorithm.
      WorkdirError: the workdir is in use, holds another run, or cannot be written.
      NonFiniteError: see ``on_nonfinite``.
      Interrupted: SIGTERM or SIGINT (Ctrl-C) came. The error carries ``state``, ``params``,
        ``step`` and ``history``; with a workdir the state is saved too.
      CheckpointError: a checkpoint could not be written, or does not fit the algorithm.

    Examples:
      >>> import jax
      >>> import optax
      >>> import metajax as mj
      >>> from metajax.data import sinusoid_tasks
      >>> from metajax.learners import mean_squared_error, ridge
      >>> from metajax.nn import mlp
      >>> learner = ridge(mlp([16], 16), mean_squared_error)
      >>> algorithm = mj.gradient(learner, optax.adam(1e-2))
      >>> result = mj.fit(
      ...     algorithm,
      ...     sinusoid_tasks(10, 10),
      ...     steps=60,
      ...     tasks_per_step=8,
      ...     key=jax.random.key(0),
      ...     log_every=20,
      ...     progress=False,
      ... )
      >>> [row["step"] for row in result.history]
      [20, 40, 60]
      >>> result.history[-1]["loss"] < result.history[0]["loss"]
      True
    """
    check_algorithm(algorithm)
    evaluators = checked_evaluators(evaluators)
    check_counts(
        {
            "steps": steps,
            "log_every": log_every,
            "checkpoint_every": checkpoint_every,
            "keep_last": keep_last,
            "keep_every": 1 if keep_every is None else keep_every,
            **{f"evaluators[{e.name}].every": e.every for e in evaluators},
        }
    )
    check_one_key("key", key)
    check_tasks(tasks)
    one_of("on_nonfinite", on_nonfinite, ("stop", "skip"))
    one_of("on_changed", on_changed, ("raise", "restart", "ignore"))
    layout = make_layout(
        parallel, tasks_per_step, devices, model_devices=model_devices, partition=partition
    )
    start = time.perf_counter()
    # on no device in particular, so that it can meet arrays on any
    key_data = np.asarray(jax.random.key_data(key))
    key = jax.random.wrap_key_data(jnp.asarray(key_data), impl=jax.random.key_impl(key))
    run = _Run(
        algorithm,
        tasks,
        key,
        steps=steps,
        tasks_per_step=tasks_per_step,
        evaluators=evaluators,
        layout=layout,
        on_nonfinite=on_nonfinite,
        log_every=log_every,
        checkpoint_every=checkpoint_every,
    )
    identity = run_config(steps, tasks_per_step, key_data, on_nonfinite, config)
    with contextlib.ExitStack() as stack:
        path = None if workdir is None else as_path(workdir)
        trained: list[dict[str, Any]] = []
        if path is not None:
            if tensorboard and is_remote(path):
                raise ConfigError("tensorboard", tensorboard, f"off, for the store of {path}")
            held = open_workdir(
                path, identity, ("steps", *may_change), restart=on_changed == "restart"
            )
            from_first(lambda: stack.enter_context(held) and None)
            trained = run.identify(path, identity, on_changed)
            stack.callback(run.open_checkpoints(path, keep_last, keep_every).close)
            from_first(lambda: renew_config(path, identity))
        signals = stack.enter_context(signals_noted())
        run.start()
        if path is not None:  # only now: what did not fit the checkpoint has not resumed it
            from_first(lambda: note_identity(path, trained))
        metrics_log = MetricsLog(
            path if is_first() else None,
            step=run.step,
            drop=run.window.dropped,
            tensorboard=tensorboard,
        )
        stack.callback(metrics_log.close)
        bar = stack.enter_context(
            tqdm(
                total=steps,
                initial=run.step,
                unit="step",
                disable=not (progress and is_first()),
                mininterval=0.5 if sys.stderr.isatty() else 10,
                dynamic_ncols=True,
            )
        )
        with lost_noticed():
            run.train(metrics_log, bar, signals)
        state = layout.collect(run.state)
        return Fit(
            state=state.algorithm,
            params=algorithm.params(state.algorithm),
            step=run.step,
            history=metrics_log.rows,
            compile_seconds=run.compile_seconds,
            seconds=time.perf_counter() - start,
            skipped=int(state.skipped),
        )


def _effort(level: int) -> Any:
    """Compiler options that have LLVM optimize at ``level``, on CPU; its default there is 3.

    At 1 the meta-step of GPICL compiled in 70% of the time and ran as fast. With JAX's flag
    ``jax_disable_most_optimizations`` the level is that of the flag.
    """
    on_cpu = jax.default_backend() == "cpu"
    least = jax.config.read("jax_disable_most_optimizations")
    return {"xla_backend_optimization_level": level} if on_cpu and not least else None


def compiled(function: Any, *arguments: Any, effort: int) -> Any:
    """Compile a jitted function for arguments; under ``jax.disable_jit`` it stays as it is."""
    if is_jit_disabled():
        return function  # it runs each operation by itself
    return function.lower(*arguments).compile(_effort(effort))


class _Pending(NamedTuple):
    """A dispatch whose metrics are still being computed."""

    first_step: int
    num_steps: int
    rows: Any


class _Run:
    """One call of :func:`fit`: what it was given, and how far it is."""

    def __init__(
        self,
        algorithm: Algorithm,
        tasks: Any,
        key: Key[Array, ""],
        *,
        steps: int,
        tasks_per_step: int,
        evaluators: Sequence[Evaluator],
        layout: Layout,
        on_nonfinite: OnNonFinite,
        log_every: int,
        checkpoint_every: int,
    ):
        self.algorithm, self.tasks, self.key = algorithm, tasks, key
        self.steps, self.tasks_per_step = steps, tasks_per_step
        self.evaluators, self.layout, self.on_nonfinite = evaluators, layout, on_nonfinite
        self.log_every, self.checkpoint_every = log_every, checkpoint_every
        self.streams = stream(key, "tasks"), stream(key, "update")
        # host batches of a whole dispatch wait on the device: few then, else what a log row needs
        self.capacity = min(8 if isinstance(tasks, HostFed) else 1000, steps)
        self.found: int | None = None  # the newest checkpoint, before the checkpointer has looked
        self.checkpointer: Checkpointer | None = None
        self.step = 0
        self.state: Any = None
        self.device_tasks: Any = None
        self.log = MetricsLog(None)
        self.bar: Any = None
        self.window = Window(log_every, evaluators)
        self.compile_seconds = 0.0

    @functools.cached_property
    def batches(self) -> HostBatches | None:
        """The host's batches, where it feeds the tasks; opened when they are first asked for."""
        if not isinstance(self.tasks, HostFed):
            return None
        return HostBatches(
            self.tasks, tasks_per_step=self.tasks_per_step, steps=self.steps, kept=self._kept
        )

    @functools.cached_property
    def sampled(self) -> tuple[Any, list[Any]]:
        """What makes a task of a key, and the first task's raw material where there is any."""
        if self.batches is None:
            return strong(self.tasks), []
        return strong(self.tasks.assemble), [self.batches.first_task]

    def identify(
        self, path: Any, identity: dict[str, Any], on_changed: OnChanged
    ) -> list[dict[str, Any]]:
        """Compare this run with what its workdir holds; return what has trained there, this too.

        Raises:
          WorkdirError: the workdir holds another run.
        """
        self.found = from_first(lambda: newest_step(path))  # before the first moves anything
        if on_changed == "restart" and (self.found or 0) > self.steps:
            from_first(lambda: start_over(path, identity) and None)
            self.found = None
        tasks, raw = self.sampled
        trained: list[dict[str, Any]] = []

        def compare() -> None:
            new = fingerprint(
                self.algorithm, tasks, raw, tasks_per_step=self.tasks_per_step, key=self.key
            )
            trained.extend(check_identity(path, new, identity, on_changed))

        from_first(compare)
        return trained

    def open_checkpoints(self, path: Any, keep_last: int, keep_every: int | None) -> Checkpointer:
        """Open the workdir's checkpoints.

        Raises:
          ConfigError: they are of more steps than the run is to have.
        """
        self.checkpointer = Checkpointer(
            path / "checkpoints", keep_last=keep_last, keep_every=keep_every
        )
        if (done := self.checkpointer.good_step or 0) > self.steps:
            self.checkpointer.close()
            raise ConfigError(
                "steps",
                self.steps,
                f"{done} or more, which the run in {path} has done already: a run can be "
                "extended, not shortened. For a shorter one name another workdir, or start "
                'over with on_changed="restart"',
            )
        return self.checkpointer

    def start(self) -> None:
        """Make the first state, or take the newest good checkpoint's, and place the arrays."""
        tasks, raw = self.sampled

        def first_state(key, tasks, raw):
            task = at_step(tasks)(derive(key, "tasks"), *raw)
            state = self.algorithm.init(derive(key, "init"), task)
            return LoopState(strong(state), jnp.int32(-1), jnp.int32(0))

        arguments = self.key, tasks, raw
        if self.checkpointer:
            like = jax.eval_shape(first_state, *arguments)
            check_names(like.algorithm)
        if self.checkpointer and self.checkpointer.good_step is not None:
            state, meta = self.checkpointer.restore(like)
            self.step = meta["step"]
            if self.batches is not None:
                self.batches.position = meta["position"]
            if self.step < self.steps:
                log.info("resuming from the checkpoint at step %d", self.step)
                self.window.resume(self.step, meta)
        else:  # runs once: optimizing it takes longer than it saves
            state = compiled(jax.jit(first_state), *arguments, effort=0)(*arguments)
        self.state = self.layout.place(state)
        self.device_tasks = self.layout.distribute(tasks)

    def train(self, metrics_log: MetricsLog, bar: Any, signals: list[int]) -> None:
        """Train to the last step, in dispatches of several; log, evaluate and save on the way.

        Raises:
          Interrupted: a signal came; the state is saved.
          NonFiniteError: a step was not finite, and ``on_nonfinite`` is ``stop``.
        """
        self.log, self.bar = metrics_log, bar
        if self.step >= self.steps:
            bar.refresh()
            if asked := agree(signals[0] if signals else 0, 1)[0]:
                raise self._interrupted(asked)
            return
        run_steps = self._compile()
        pending: _Pending | None = None
        size = 1
        last = time.perf_counter()
        while True:
            asked, size = agree(signals[0] if signals else 0, size)
            if asked or self.step >= self.steps:
                break
            num = min(size, self._event_after(self.step) - self.step)
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
                    self._save(self.checkpointer)
                    self.checkpointer.wait()
            raise self._interrupted(asked)

    def _compile(self) -> Any:
        run_steps = make_steps(
            self.algorithm,
            self.tasks,
            self.state,
            tasks_per_step=self.tasks_per_step,
            capacity=self.capacity,
            layout=self.layout,
            on_nonfinite=self.on_nonfinite,
        )
        raw: Any = ()
        if self.batches is not None:
            raw = self.layout.split(self.batches.peek(self.step, self.capacity))
        start = time.perf_counter()
        self.bar.set_postfix_str("compiling")
        arguments = self.state, self.device_tasks, raw, self.streams, np.int32(0), np.int32(1)
        run_steps = compiled(run_steps, *arguments, effort=1)
        self.compile_seconds = time.perf_counter() - start
        self.bar.set_postfix_str("")
        return run_steps

    def _read(self, num: int) -> Any:
        """Host batches for ``num`` steps, padded to the compiled capacity; () if device-sampled."""
        if self.batches is None:
            return ()
        return self.layout.split(self.batches.read(self.step, num, self.capacity))

    def _event_after(self, step: int) -> int:
        """The next step at which something is to be logged, measured or saved."""
        periods = [self.log_every, *(evaluator.every for evaluator in self.evaluators)]
        if self.checkpointer:
            periods.append(self.checkpoint_every)
        return min([self.steps, *((step // every + 1) * every for every in periods)])

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
            self.window.rows.append(row)
        self.bar.update(pending.num_steps)
        if (loss := self.window.rows[-1]["loss"]) is not None:
            self.bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)

    def _at_event(self) -> None:
        """Log, evaluate and save, where the step calls for it, in this order."""
        done = self.step == self.steps
        due = [e for e in self.evaluators if done or self.step % e.every == 0]
        if done:
            self.window.end(self.step, due)
        if done or self.step % self.log_every == 0:
            self.log.write(self.step, self._means())
            self.window.clear()
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
            self._save(self.checkpointer)
            if done:
                self.checkpointer.wait()

    def _save(self, checkpointer: Checkpointer) -> None:
        self.log.sync()
        meta = {"step": self.step, **self.window.saved()}
        if self.batches is not None:
            meta["position"] = self.batches.position
        checkpointer.save(self.step, self.layout.saved(self.state), meta)

    def _means(self) -> dict[str, Any]:
        means = self.window.means()
        if self.on_nonfinite == "skip":
            means["skipped"] = int(self.layout.collect(self.state).skipped)
        return means

    def _history(self, step: int) -> list[dict[str, Any]]:
        """The logged rows, and one of the steps up to ``step`` that no row averages yet."""
        if not self.window.rows:
            return self.log.rows
        return [*self.log.rows, {"step": step, **plain(self._means())}]

    def _kept(self) -> str:
        """Which checkpoint is kept, in words."""
        kept = self.found
        if self.checkpointer is not None:
            self.checkpointer.wait()
            kept = self.checkpointer.good_step
        if kept is None:
            return "no checkpoint had been saved."
        return f"the checkpoint of step {kept} is kept."

    def _interrupted(self, signum: int) -> Interrupted:
        """The error that ends a run which a signal stops, with what the run has done."""
        if self.checkpointer is None:
            kept = (
                "no workdir was given: what is done is in `state`, `params`, `step` and `history` "
                "of this error."
            )
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
