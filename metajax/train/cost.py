"""What a meta-step costs: compiling, operations, bytes, time and memory, part by part."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax.core import (
    Algorithm,
    ConfigError,
    HostFed,
    apart_from_surroundings,
    at_step,
    is_jit_disabled,
    task_keys,
)
from metajax.train.arguments import check_tasks
from metajax.train.step import LoopState, make_layout, make_steps

PEAK_SIZE, PEAK_BYTES = 2048, 1 << 28
"""Side of the matrices, and size of the array, that the machine's peaks are measured with."""


class Part(NamedTuple):
    """One compiled part of a meta-step, or the whole of it.

    Attributes:
      compile_seconds: wall time of tracing and compiling.
      seconds: wall time of one call, the median.
      gflop: what XLA counts for one call; the body of a loop counts once, however often it runs.
      gbytes: read and written, counted likewise.
      megabytes: of temporaries at once.
    """

    compile_seconds: float
    seconds: float
    gflop: float
    gbytes: float
    megabytes: float


class Profile(NamedTuple):
    """What one meta-step costs; see :func:`profile`.

    Attributes:
      parts: ``sampling``, drawing the tasks of a step; the algorithm's own stages, each with what
        comes before it: ``forward``, the loss of given tasks, and ``backward``, the loss and its
        gradient; ``update``, all of that and the optimizer; ``step``, sampling and update as the
        loop compiles them.
      host_seconds: of one dispatch of no steps: what the host adds, whatever the number of steps.
      peak_gflops: multiply-adds a second, times two, of a product of large matrices.
      peak_gbytes: read and written a second by a copy of a large array.
      parameters: numbers in the state of the algorithm.
    """

    parts: dict[str, Part]
    host_seconds: float
    peak_gflops: float
    peak_gbytes: float
    parameters: int

    @property
    def spent(self) -> dict[str, float]:
        """Seconds of one meta-step by what it does: how much longer each part is than the last.

        Each part was compiled and timed alone, where XLA cannot fuse it with the next, so they
        are estimates, which need not add up to the step's time. Keys: ``sampling``, the stages,
        ``optimiser`` (``update`` where the algorithm names no stages), and ``host``, of a
        dispatch.
        """
        seconds = {name: part.seconds for name, part in self.parts.items() if name != "step"}
        found, before = {"sampling": seconds.pop("sampling")}, 0.0
        for name, last in seconds.items():
            name = "optimiser" if name == "update" and before else name
            found[name], before = max(last - before, 0.0), last
        return found | {"host": self.host_seconds}


@apart_from_surroundings
def profile(
    algorithm: Algorithm, tasks: Any, *, tasks_per_step: int, key: Key[Array, ""], steps: int = 10
) -> Profile:
    """Compile and time a meta-step and its parts on the default device.

    Args:
      algorithm: the meta-training step.
      tasks: a device-sampled task distribution.
      tasks_per_step: tasks of one meta-step.
      key: of state, tasks and updates.
      steps: how many are timed, 1 or more.

    Returns:
      Times, operations and memory of each part.

    Raises:
      ConfigError: ``tasks`` draw nothing or are fed by the host, ``steps`` below 1, or
        ``jax.disable_jit``.
    """
    if isinstance(tasks, HostFed):
        raise ConfigError("tasks", "HostFed", "a distribution that is sampled on the device")
    if steps < 1:
        raise ConfigError("steps", steps, "a whole number of 1 or more")
    if is_jit_disabled():
        raise ConfigError("jax_disable_jit", True, "False: what is measured are compiled programs")
    check_tasks(tasks)
    layout = make_layout("none", tasks_per_step)
    keys = task_keys(key, tasks_per_step)
    state = jax.jit(lambda tasks: algorithm.init(key, at_step(tasks)(key)))(tasks)

    def sample(tasks, keys, step):
        return jax.vmap(at_step(tasks, step))(keys)

    sampling, batch = measured(sample, (tasks, keys, jnp.int32(0)), steps)
    stages = {
        name: measured(function, (state, batch, key), steps)[0]
        for name, function in {**algorithm.stages, "update": algorithm.update}.items()
    }

    start = LoopState(state, jnp.int32(-1), jnp.int32(0))
    run: Any = make_steps(
        algorithm,
        tasks,
        start,
        tasks_per_step=tasks_per_step,
        capacity=steps,
        layout=layout,
        on_nonfinite="stop",
    )
    streams = jax.random.split(key)
    began = time.perf_counter()
    compiled = run.lower(start, tasks, (), streams, jnp.int32(0), jnp.int32(steps)).compile()
    compile_seconds = time.perf_counter() - began

    def dispatch(num: int) -> float:
        """Wall time of a dispatch of so many steps, from a state of its own: it is donated."""
        copied = jax.block_until_ready(jax.tree.map(jnp.copy, start))
        began = time.perf_counter()
        jax.block_until_ready(compiled(copied, tasks, (), streams, jnp.int32(0), jnp.int32(num)))
        return time.perf_counter() - began

    dispatch(1)
    host = float(np.median([dispatch(0) for _ in range(5)]))
    seconds = max(dispatch(steps) - host, 0.0) / steps
    flops, moved, temporaries = counted(compiled)
    step = Part(compile_seconds, seconds, flops, moved, temporaries)
    parts = {"sampling": sampling, **stages, "step": step}
    size = sum(leaf.size for leaf in jax.tree.leaves(algorithm.params(state)))
    return Profile(parts, host, *peaks(), size)


def measured(
    function: Callable[..., Any], arguments: tuple[Any, ...], repeats: int
) -> tuple[Part, Any]:
    """Compile a function, time it, and return what it gave."""
    began = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    compile_seconds = time.perf_counter() - began
    result = jax.block_until_ready(compiled(*arguments))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - began)
    return Part(compile_seconds, float(np.median(times)), *counted(compiled)), result


def counted(compiled: Any) -> tuple[float, float, float]:
    """XLA's count of operations and bytes of a call, in units of 1e9, and its temporaries in MB."""
    costs = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    temporaries = 0 if memory is None else memory.temp_size_in_bytes
    return costs.get("flops", 0.0) / 1e9, costs.get("bytes accessed", 0.0) / 1e9, temporaries / 1e6


def peaks() -> tuple[float, float]:
    """The machine's measured rates: GFLOP/s of a float32 product, GB/s of a copy."""
    square = jnp.ones((PEAK_SIZE, PEAK_SIZE), jnp.float32)
    product, _ = measured(jnp.matmul, (square, square), 5)
    array = jnp.ones(PEAK_BYTES // 4, jnp.float32)
    copy, _ = measured(lambda x: x + 1, (array,), 5)
    return 2 * PEAK_SIZE**3 / product.seconds / 1e9, 2 * PEAK_BYTES / copy.seconds / 1e9


def profile_table(found: Profile) -> str:
    """Return a profile as text.

    Args:
      found: what :func:`profile` returned.

    Returns:
      Lines of text.
    """
    lines = [
        f"parameters {found.parameters:,}; this machine's measured peak "
        f"{found.peak_gflops:.1f} GFLOP/s (float32 product), {found.peak_gbytes:.1f} GB/s (copy)",
        "",
        f"{'part':10}{'compile s':>10}{'ms':>10}{'GFLOP':>10}{'GB':>10}{'temp MB':>10}"
        f"{'GFLOP/s':>10}{'of peak':>10}",
    ]
    lines.append("-" * len(lines[-1]))
    for name, part in found.parts.items():
        rate = part.gflop / part.seconds if part.seconds else float("nan")
        lines.append(
            f"{name:10}{part.compile_seconds:10.2f}{1e3 * part.seconds:10.2f}{part.gflop:10.3f}"
            f"{part.gbytes:10.3f}{part.megabytes:10.1f}{rate:10.1f}"
            f"{100 * rate / found.peak_gflops:9.1f}%"
        )
    spent = found.spent
    host = spent.pop("host")
    lines += [
        "",
        "of a step: "
        + ", ".join(f"{name} {1e3 * took:.2f} ms" for name, took in spent.items())
        + " (what each part takes more than the one above it)",
        f"host: {1e3 * host:.2f} ms a dispatch, however many steps it runs",
        "GFLOP and GB are XLA's own count, in which the body of a loop counts once.",
    ]
    return "\n".join(lines)
