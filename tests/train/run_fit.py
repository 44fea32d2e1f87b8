"""Runs ``fit`` in a process of its own, to be killed: ``run_fit.py WORKDIR [options]``.

Prints a JSON line with the digest of the final state. Exits as the command line would.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("workdir", type=Path)
parser.add_argument("--steps", type=int, default=150)
parser.add_argument("--checkpoint-every", type=int, default=10)
parser.add_argument("--log-every", type=int, default=12)
parser.add_argument("--keep-last", type=int, default=3)
parser.add_argument("--host-fed", action="store_true")
parser.add_argument("--setting", type=int, default=0, help="identifies the run, no more")
parser.add_argument(
    "--kill-after", type=float, help="seconds from just before the compilation to SIGKILL"
)
parser.add_argument("--kill-in", choices=["write", "seal", "delete"], help="SIGKILL in that phase")
parser.add_argument("--after-saves", type=int, default=1, help="saves before --kill-in")
parser.add_argument("--signal-at", type=int, help="the evaluation that sends itself a signal")
parser.add_argument("--signal", default="SIGTERM")
parser.add_argument("--wait-at", type=int, help="the evaluation that waits for a file named go")
parser.add_argument("--parallel", default="none")
parser.add_argument("--devices", type=int, help="simulated, of this process")
parser.add_argument("--tasks-per-step", type=int, default=4)
parser.add_argument("--coordinator", help="HOST:PORT of the first of two processes")
parser.add_argument("--process", type=int, help="which of the two this is")
arguments = parser.parse_args()
logging.basicConfig(level=logging.WARNING)
logging.getLogger("metajax").setLevel(logging.INFO)

import jax  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

if arguments.devices:
    jax.config.update("jax_num_cpu_devices", arguments.devices)
sys.path.insert(0, str(Path(__file__).parent.parent))
import toy_problem  # noqa: E402
from metajax.core import Evaluator, Examples, HostFed, MetajaxError, Task, digest  # noqa: E402
from metajax.train import ProcessLostError, checkpoint, fit, join, leave, loop  # noqa: E402

if arguments.coordinator:
    join(arguments.coordinator, 2, arguments.process)


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def then(function, action):
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        action()
        return result

    return call


def kill_in(phase: str, after_saves: int) -> None:
    calls = 0

    def counted(function):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls > after_saves:
                die()
            return function(*args, **kwargs)

        return call

    if phase == "seal":  # the checkpoint is whole, its seal is not there yet
        checkpoint.write_seal = counted(checkpoint.write_seal)
    elif phase == "delete":
        import orbax.checkpoint as ocp

        ocp.CheckpointManager.delete = counted(ocp.CheckpointManager.delete)
    else:  # while Orbax writes: its folder has a temporary name then

        def watch():
            seen = set()
            while True:
                seen |= set(arguments.workdir.glob("checkpoints/[0-9]*tmp*"))
                if len(seen) > after_saves:
                    die()
                time.sleep(0.0005)

        threading.Thread(target=watch, daemon=True).start()


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Assemble:
    """Noise on the rows that the host read, and a linear map of them."""

    def __call__(self, key, raw):
        rows = raw + 0.1 * jax.random.normal(key, raw.shape)
        targets = rows @ jax.random.normal(key, (toy_problem.FEATURES, 1))
        query = Examples(rows[6:], targets[6:])
        return Task(Examples(rows[:6], targets[:6]), (query, jax.numpy.array(False)))


def host_fed(tasks_per_step: int):
    import grain

    rows = np.random.default_rng(0).normal(size=(500, toy_problem.FEATURES)).astype(np.float32)
    data = grain.MapDataset.source(rows).seed(3).shuffle().repeat()
    batches = data.batch(12).batch(tasks_per_step).to_iter_dataset()
    return HostFed(batches, Assemble())


calls = 0


def evaluate(params, key):
    """Measure, and act as the arguments say: evaluators are called between dispatches."""
    global calls
    calls += 1
    if arguments.signal_at == calls:
        os.kill(os.getpid(), getattr(signal, arguments.signal))
    if arguments.wait_at == calls:
        (arguments.workdir.parent / "waiting").touch()
        while not (arguments.workdir.parent / "go").exists():
            time.sleep(0.01)
    return {"norm": optax.tree.norm(params), "draw": jax.random.uniform(key)}


if arguments.kill_after is not None:
    loop.make_steps = then(loop.make_steps, threading.Timer(arguments.kill_after, die).start)
if arguments.kill_in:
    kill_in(arguments.kill_in, arguments.after_saves)
try:
    result = fit(
        toy_problem.make_algorithm(),
        host_fed(arguments.tasks_per_step) if arguments.host_fed else toy_problem.make_tasks(),
        steps=arguments.steps,
        tasks_per_step=arguments.tasks_per_step,
        parallel=arguments.parallel,
        key=jax.random.key(7),
        workdir=arguments.workdir,
        config={"setting": arguments.setting},
        evaluators=[Evaluator("held_out", 35, evaluate)],
        log_every=arguments.log_every,
        checkpoint_every=arguments.checkpoint_every,
        keep_last=arguments.keep_last,
        progress=False,
    )
except MetajaxError as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    if isinstance(error, ProcessLostError):
        leave(error)
    sys.exit(getattr(error, "exit_code", 1))
print(json.dumps({"digest": digest(result.state), "step": result.step}))
