"""The runs of a sweep as trials of Ray Tune, which may stop early those that fall behind."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from metajax.core import ConfigError, MetajaxError
from metajax.sweep.child import outcome_of, start
from metajax.sweep.grid import Point
from metajax.sweep.results import Outcome, is_done, read_results, run_folder, write_results
from metajax.sweep.stopping import Stopping, missing_from, with_number
from metajax.train import Interrupted, in_use, read_rows, signals_noted

try:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule
except ImportError as error:
    raise ConfigError(
        "engine", "ray", f"Ray Tune, which is not here ({error}): pip install 'metajax[ray]'"
    ) from error

log = logging.getLogger("metajax")

POLL_SECONDS = 0.1
TURN_SECONDS = 1.0
"""A trial answers Tune this often at least, so that Tune can stop it."""

SETTINGS = {
    # nothing is sent home
    "RAY_USAGE_STATS_ENABLED": "0",
    # a child saves its state when its trial's process ends, which must not kill it then
    "RAY_kill_child_processes_on_worker_exit": "0",
    # by default all that a trial starts stands back behind the machine's other processes
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # results without the metric are how a trial says that it is alive
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}

CHILD = """
import ctypes, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != parent:
    sys.exit(75)
os.execv(command[0], command)
"""
"""Starts a command to which Linux sends SIGTERM when its parent dies, however that dies."""


class Jobs(NamedTuple):
    """What trials share: the sweep's runs, and how each is started.

    Attributes:
      folder: of the sweep.
      points: its runs.
      commands: one per run.
      metric: what is told to Tune of the rows of a run.
      cwd: where the sweep was started.
      environment: variables of the sweep's own process that decide how a run computes.
    """

    folder: Path
    points: Sequence[Point]
    commands: Sequence[list[str]]
    metric: str
    cwd: str
    environment: Mapping[str, str]


class RunFailedError(Exception):
    """A trial's run did not end well; Tune tries it again with the next command."""


def share(amounts: Sequence[float], num: int) -> float:
    """The most that each of ``num`` may take for all to fit; none is split over two amounts."""
    shares = {amount / parts for amount in amounts for parts in range(1, num + 1) if amount}
    fitting = [s for s in shares if sum(int(amount / s + 1e-6) for amount in amounts) >= num]
    return max(fitting, default=0.0)


class RunTrial(tune.Trainable):
    """A run of the sweep, in a process of its own; tells Tune what the run logs."""

    def setup(self, config: dict[str, Any], **shared: Any) -> None:
        """Take a run; its process is started by the first step, once its workdir is free."""
        jobs: Jobs = shared["jobs"]
        self.jobs = jobs
        self.point = jobs.points[config["run"]]
        self.workdir = run_folder(jobs.folder, self.point)
        self.process: subprocess.Popen | None = None
        self.outcome = Outcome("done") if is_done(jobs.folder, self.point) else None
        self.reached: dict[str, float] = {"step": 0, jobs.metric: math.nan}
        self.told = False
        self.seen: tuple[int, ...] = ()
        self.rows: list[dict[str, Any]] = []

    def step(self) -> dict[str, Any]:
        """Wait for the run's next row, or its end, and return it; after a second, nothing."""
        turn = time.monotonic() + TURN_SECONDS
        while True:
            # in this order: the rows are read after the run has ended, or some could be missed
            self.follow()
            self.read()
            done = self.outcome is not None and self.outcome.status == "done"
            unknown = self.reached["step"] == 0
            if unknown and (names := missing_from(self.rows, self.jobs.metric, done)):
                return {"refused": self.jobs.metric, "names": names}
            if row := self.next_row(done):
                self.reached = {"step": row["step"], self.jobs.metric: row[self.jobs.metric]}
                return dict(self.reached)
            if self.outcome is not None:
                return self.end(self.outcome)
            if time.monotonic() > turn:
                return {}
            time.sleep(POLL_SECONDS)

    def follow(self) -> None:
        """Start the process, or see how it has ended."""
        if self.outcome is not None:
            return
        if self.process is None:
            # the process of a sweep that was killed may still be saving
            if not in_use(self.workdir):
                here = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}  # Ray's own
                self.process = start(
                    self.jobs.folder,
                    self.point,
                    self.command(),
                    cwd=self.jobs.cwd,
                    environment={**here, **self.jobs.environment},
                )
        elif (code := self.process.poll()) is not None:
            self.outcome = outcome_of(self.jobs.folder, self.point, code)
            self.process = None

    def command(self) -> list[str]:
        """The run's command, such that it does not outlive this process where Linux is."""
        command = self.jobs.commands[self.point.number]
        if sys.platform != "linux":
            return command
        return [sys.executable, "-c", CHILD, str(os.getpid()), *command]

    def read(self) -> None:
        """Read the run's rows where they have changed."""
        path = self.workdir / "metrics.jsonl"
        if path.exists():
            found = path.stat()
            seen = found.st_ino, found.st_size, found.st_mtime_ns
            if seen != self.seen:
                self.seen, self.rows = seen, read_rows(self.workdir)

    def next_row(self, done: bool) -> dict[str, Any] | None:
        """The first row with the metric that has not been told of.

        The last step's rows wait for the evaluation: a run that is trained is not stopped.
        """
        steps = math.inf if done else self.point.config.steps
        rows = with_number(self.rows, self.jobs.metric)
        return next((row for row in rows if self.reached["step"] < row["step"] < steps), None)

    def end(self, outcome: Outcome) -> dict[str, Any]:
        """Say how the run ended; if not well, fail in the step after."""
        if outcome.status == "done":
            return {**self.reached, "done": True}
        if self.told:
            raise RunFailedError(outcome.error)
        self.told = True
        return {"status": outcome.status, "error": outcome.error}

    def cleanup(self) -> None:
        """End the process if it is alive; it saves its state."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


class Recorder(tune.Callback):
    """Writes ``results.csv`` whenever a trial ends, and shows how many have.

    Tune works with a copy of it, and of the scheduler that it holds, where it restores trials.
    """

    def __init__(
        self, folder: Path, points: Sequence[Point], metric: str, progress: bool, scheduler: Any
    ):
        self.folder, self.points, self.metric, self.progress = folder, points, metric, progress
        self.scheduler = scheduler
        self.outcomes: dict[int, Outcome] = {}
        self.begun = False

    def setup(self, *args: Any, **info: Any) -> None:
        """Note what was done before."""
        self.bar = tqdm(
            total=len(self.points), unit="run", disable=not self.progress, dynamic_ncols=True
        )
        done = [point.number for point in self.points if is_done(self.folder, point)]
        self.note({number: Outcome("done") for number in done})

    def note(self, outcomes: Mapping[int, Outcome]) -> None:
        """Keep how runs ended, and write the table."""
        self.outcomes |= outcomes
        write_results(self.folder, self.points, self.outcomes)
        ended = sum(outcome.status != "interrupted" for outcome in self.outcomes.values())
        self.bar.update(ended - self.bar.n)

    def outcome(self, trial: Any) -> Outcome | None:
        """How a trial that Tune holds ended; None where it has not begun."""
        point, result = self.points[trial.config["run"]], trial.last_result or {}
        if is_done(self.folder, point):
            return Outcome("done")
        if trial.status == "ERROR":
            died = Outcome("failed", "the process of its trial died; the folder tune/ says why")
            return self.outcomes.get(point.number, died)
        if result.get("done"):
            # an earlier command may have watched another metric
            names = [name for name in ("step", self.metric) if name in result]
            return Outcome("stopped", reached={name: result[name] for name in names})
        return Outcome("interrupted") if run_folder(self.folder, point).exists() else None

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Note the trials that were over before this driver began, and tell the scheduler.

        Tune keeps the state of trials, and none of schedulers.
        """
        if self.begun:
            return
        self.begun = True
        past = [trial for trial in trials if trial.status == "TERMINATED"]
        self.note_all(past)
        for trial in past:
            rows = read_rows(run_folder(self.folder, self.points[trial.config["run"]]))
            for row in with_number(rows, self.metric):
                if self.scheduler.on_trial_result(None, trial, row) != "CONTINUE":
                    break

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Note a run that did not end well; end all of them for a metric that there is not."""
        if "refused" in result:
            signal.raise_signal(signal.SIGUSR1)  # Tune ends the experiment on it
        if "error" in result:
            outcome = Outcome(result["status"], result["error"])
            self.note({trial.config["run"]: outcome})
            if outcome.status == "failed":
                log.warning("run %04d failed: %s", trial.config["run"], outcome.error)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note a run that is done, or that was stopped early."""
        self.note_all([trial])

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Note how all were left."""
        self.note_all(trials)
        self.bar.close()

    def note_all(self, trials: Iterable[Any]) -> None:
        """Note how these trials ended, as far as they did."""
        found = {trial.config["run"]: self.outcome(trial) for trial in trials}
        self.note({number: outcome for number, outcome in found.items() if outcome is not None})


def make_scheduler(stopping: Stopping) -> Any:
    """Return Tune's scheduler."""
    options: dict[str, Any] = {
        "time_attr": "step",
        "metric": stopping.metric,
        "mode": stopping.mode,
        "grace_period": stopping.grace_period,
    }
    if stopping.scheduler == "asha":
        # one more than there are: at its last step a run is not stopped for having come there
        return ASHAScheduler(max_t=stopping.steps + 1, **options)
    if stopping.scheduler == "median":
        # never, or runs would be paused, which needs checkpoints of Tune's own
        options["min_time_slice"] = math.inf
        return MedianStoppingRule(**options)
    return FIFOScheduler()


def trial_name(trial: Any) -> str:
    """A trial is called as its run's folder is."""
    return f"{trial.config['run']:04d}"


def connect(address: str | None, workers: int) -> dict[str, float]:
    """Connect to a cluster, or start one here; return what a trial takes for all workers to fit.

    Raises:
      ConfigError: there is no cluster at the address.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        if address is None:
            # its store holds the commands and no arrays
            ray.init(
                "local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=100 * 2**20,
                **quiet,
            )
        else:
            ray.init(address, **quiet)
    except (ConnectionError, ValueError) as error:
        raise ConfigError("address", address, f"that of a Ray cluster ({error})") from error
    except Exception as error:  # bare ones, where its processes are not up in time
        raise MetajaxError(f"Ray did not start: {error} Run the same command again.") from error
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = [1.0] * int(sum(node.get("GPU", 0) for node in nodes))
    return {
        # in ten thousandths, which is what Ray counts in
        "cpu": math.floor(1e4 * share([node.get("CPU", 0) for node in nodes], workers)) / 1e4,
        "gpu": math.floor(1e4 * share(gpus, workers)) / 1e4,
    }


@contextlib.contextmanager
def signals_ending_tune() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in a list, and have Tune end with its state saved.

    Tune does so on SIGUSR1 once it listens, which a thread waits for.
    """
    old, over = signal.getsignal(signal.SIGUSR1), threading.Event()
    with signals_noted() as noted:

        def pass_on() -> None:
            while not over.wait(POLL_SECONDS):
                if noted and signal.getsignal(signal.SIGUSR1) != old:
                    os.kill(os.getpid(), signal.SIGUSR1)
                    return

        thread = threading.Thread(target=pass_on, daemon=True)
        thread.start()
        try:
            yield noted
        finally:
            over.set()
            thread.join()
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGUSR1, old)


def run_ray(
    folder: Path,
    points: Sequence[Point],
    command: Callable[[Point, Path], list[str]],
    stopping: Stopping,
    *,
    workers: int = 1,
    address: str | None = None,
    progress: bool = True,
) -> dict[int, Outcome]:
    """Run every point that is not done as a trial of Ray Tune, each in a process of its own.

    The same folders and table as :func:`metajax.sweep.run_processes`; Tune's own state is in
    ``tune/``, from which the same call resumes after the driver was killed.

    Args:
      folder: of the sweep.
      points: its runs.
      command: as in :func:`metajax.sweep.run_processes`.
      stopping: which runs are stopped early.
      workers: runs at a time.
      address: of a Ray cluster, ``auto`` or ``HOST:PORT``; None: one of this machine alone, for
        this call.
      progress: show a progress bar.

    Returns:
      How each run ended.

    Raises:
      ConfigError: there is no cluster at the address, or rows of the runs do not hold the metric.
      Interrupted: SIGTERM or SIGINT came; the runs have saved their state.
    """
    folder = folder.resolve()
    jobs = Jobs(
        folder,
        points,
        [command(point, run_folder(folder, point)) for point in points],
        stopping.metric,
        os.getcwd(),
        {k: v for k, v in os.environ.items() if k.startswith(("JAX_", "XLA_", "TFDS_", "OMP_"))},
    )
    resources = connect(address, workers)
    try:
        trainable = tune.with_resources(tune.with_parameters(RunTrial, jobs=jobs), resources)
        space = {"run": tune.grid_search([point.number for point in points])}
        place = folder / "tune" / "trials"
        begun = tune.Tuner.can_restore(str(place))
        rule = make_scheduler(stopping)
        # made in any case: what is restored are the trials, by the settings of this command
        tuner = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=tune.TuneConfig(
                scheduler=rule,
                max_concurrent_trials=workers if address else None,
                trial_dirname_creator=trial_name,
                trial_name_creator=trial_name,
            ),
            run_config=tune.RunConfig(
                name=place.name,
                storage_path=str(place.parent),
                verbose=0,
                callbacks=[Recorder(folder, points, stopping.metric, progress, rule)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        if begun:
            tuner = tune.Tuner.restore(
                str(place), trainable, restart_errored=True, param_space=space
            )
        with signals_ending_tune() as signals:
            results = tuner.fit()
            while signals and any(in_use(run_folder(folder, point)) for point in points):
                time.sleep(POLL_SECONDS)
    finally:
        ray.shutdown()
    for number in range(len(results)):
        said = results[number].metrics or {}
        if said.get("refused") == stopping.metric:
            names = ", ".join(said["names"])
            raise ConfigError("metric", stopping.metric, f"what the runs log: {names}")
    outcomes = {
        point.number: Outcome(row["status"], row["error"])
        for point, row in zip(points, read_results(folder), strict=True)
    }
    if signals:
        done = sum(outcome.status == "done" for outcome in outcomes.values())
        raise Interrupted(signals[0], f"{done} of {len(points)} runs")
    return outcomes
