"""What meta-learning a Hamiltonian costs compared with the same network in PyTorch.

    python benchmarks/hamiltonian.py --out benchmarks/results/hamiltonian.json

1. `meta-step`: second-order MAML of the preset `cpu` (graph network of width 64, energies whose
   symplectic gradient is fitted): ten tasks of 50 + 50 points, six of one particle, two of two, two
   of three, one inner step at .2, Adam 5e-4 outside.
2. `roll-out`: 20 networks of their own weights, 20 pendulums, 199 steps of .05 s of the implicit
   midpoint rule by 12 fixed-point iterations.

PyTorch's side is written with `torch.func` (`grad`, `vmap`), particles unpadded as on ours. Both
start from the same weights and see the same arrays; losses of the first meta-steps and the motions
must agree in float64 before anything is timed, in float32. Then they take turns in one process on
one thread; CPU seconds count, compared round by round. Exits with 2 without PyTorch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import import_torch, interleaved, interval, use_one_thread, write_result

from metajax.core import Params, Task, enable_x64
from metajax.physics import Phase, trajectory
from metajax.systems import configure, make_method
from metajax.systems.hamiltonian import (
    Problem,
    architecture_of,
    make_derivative,
    make_tasks,
    new_instances,
    trained,
)

CONFIG = configure("hamiltonian", "cpu", "maml", trajectories=20)
STEPS, CHECKED = 10, 3
SYSTEMS, ITERATIONS = 20, 12
TOLERANCE = 1e-6

Run = Callable[[], np.ndarray]


def torch_derivative(torch: Any, rounds: int) -> Any:
    """The graph network's symplectic gradient: ``(params, q, p) -> dq/dt, dp/dt``."""
    mish = torch.nn.functional.mish

    def dense(params: Any, x: Any) -> Any:
        return mish(x @ params["layer_0"]["kernel"] + params["layer_0"]["bias"])

    def energy(q: Any, p: Any, params: Any) -> Any:
        particles = q.shape[0]
        senders, receivers = np.nonzero(~np.eye(particles, dtype=bool))
        state = dense(params["encoder"], torch.cat([q, p], -1))
        for number in range(rounds):
            block = params[f"round_{number}"]
            ends = torch.cat([state[senders], state[receivers]], -1)
            message = dense(block["message"], ends)
            received = torch.zeros_like(state).index_add(0, torch.as_tensor(receivers), message)
            layer = block["update"]["layer_0"]
            mixed = state @ layer["kernel"] + received @ block["received"]["kernel"]
            state = mish(mixed + layer["bias"])
        state = dense(params["readout"], state)
        return (state @ params["head"]["kernel"] + params["head"]["bias"]).sum()

    slope = torch.func.grad(energy, (0, 1))

    def derivative(params: Any, q: Any, p: Any) -> Any:
        by_q, by_p = slope(q, p, params)
        return by_p, -by_q

    return derivative


def to_torch(torch: Any, tree: Any) -> Any:
    """Copies of all arrays as tensors."""
    return jax.tree.map(lambda x: torch.from_numpy(np.array(x)), tree)


def meta_steps(config: Any, params: Params, batches: Task) -> tuple[Run, float]:
    """Ours, all steps in one dispatch; also CPU seconds to compile."""
    algorithm = make_method(config, Problem(config, None)).algorithm
    first = jax.tree.map(lambda x: x[0, 0], batches)
    state = algorithm.init(jax.random.key(0), first)
    held = [jax.tree.map(jnp.array, state._replace(params=params))]

    def update(state: Any, tasks: Task) -> Any:
        state, metrics = algorithm.update(state, tasks, jax.random.key(0))
        return state, metrics["loss"]

    start = time.process_time()
    steps = jax.jit(lambda state, batches: jax.lax.scan(update, state, batches), donate_argnums=0)
    compiled = steps.lower(held[0], batches).compile()
    seconds = time.process_time() - start

    def run() -> np.ndarray:
        held[0], losses = compiled(held[0], batches)
        return np.asarray(losses)

    return run, seconds


def torch_meta_steps(torch: Any, config: Any, params: Params, batches: Task) -> Run:
    """The same with ``torch.func``."""
    derivative = torch_derivative(torch, config.rounds)
    weights = to_torch(torch, params["graph"])
    leaves, _ = torch.utils._pytree.tree_flatten(weights)
    for leaf in leaves:
        leaf.requires_grad_()
    optimizer = torch.optim.Adam(leaves, config.learning_rate, fused=True)
    points = torch.func.vmap(derivative, in_dims=(None, 0, 0))

    def residual(params: Any, examples: Any) -> Any:
        q, p, q_rate, p_rate = examples
        found = points(params, q, p)
        off = torch.stack([found[0] - q_rate, found[1] - p_rate])
        # log cosh, as optax computes it
        zero = torch.zeros((), dtype=off.dtype)
        return (torch.logaddexp(off, -off) - torch.log(zero + 2)).mean()

    def task_loss(params: Any, support: Any, query: Any) -> Any:
        grads = torch.func.grad(residual)(params, support)
        moved = torch.utils._pytree.tree_map(lambda w, g: w - config.inner_lr * g, params, grads)
        return residual(moved, query)

    of_tasks = torch.func.vmap(task_loss, in_dims=(None, 0, 0))

    def plain(examples: Any) -> tuple[Any, ...]:
        inputs, targets = examples.inputs.state, examples.targets.state
        return tuple(
            torch.from_numpy(np.array(x)).flatten(1, 2)
            for x in (inputs.q, inputs.p, targets.q, targets.p)
        )

    groups = [(plain(s), plain(q)) for s, q in zip(batches.support, batches.query, strict=True)]
    steps = groups[0][0][0].shape[0]

    def run() -> np.ndarray:
        losses = []
        for step in range(steps):
            optimizer.zero_grad(set_to_none=True)

            def cut(tree, step=step):
                return tuple(x[step] for x in tree)

            found = torch.cat([of_tasks(weights, cut(s), cut(q)) for s, q in groups])
            loss = found.mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(leaves, config.clip_norm)
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).numpy()

    return run


def roll_out(config: Any, weights: Params, start: Phase, times: Any) -> tuple[Run, float]:
    """Ours; also CPU seconds to compile."""
    derivative = make_derivative(architecture_of(config))

    def one(weights: Params, start: Phase, times: Any) -> Phase:
        return trajectory(derivative, start, weights, times, method="implicit_midpoint").states

    began = time.process_time()
    compiled = jax.jit(jax.vmap(one, (0, 0, None))).lower(weights, start, times).compile()
    seconds = time.process_time() - began
    return lambda: np.asarray(compiled(weights, start, times).q), seconds


def torch_roll_out(torch: Any, config: Any, weights: Params, start: Phase, times: Any) -> Run:
    """The same with ``torch.func.vmap``."""
    derivative = torch.func.vmap(torch_derivative(torch, config.rounds))
    params = to_torch(torch, weights["graph"])
    first, moments = to_torch(torch, tuple(start)), np.asarray(times)

    def run() -> np.ndarray:
        with torch.no_grad():
            q, p = first
            found = [q]
            for size in np.diff(moments):
                middle = (q, p)
                for _ in range(ITERATIONS):
                    rate = derivative(params, *middle)
                    middle = q + float(size) / 2 * rate[0], p + float(size) / 2 * rate[1]
                rate = derivative(params, *middle)
                q, p = q + float(size) * rate[0], p + float(size) * rate[1]
                found.append(q)
            return torch.stack(found, 1).numpy()

    return run


def compare(name: str, exact: dict[str, np.ndarray], single: dict[str, Run], rounds: int) -> Any:
    """Check that results in float64 are the same; time the runs in float32."""
    ours, theirs = exact.values()
    apart = float(np.max(np.abs(ours - theirs)))
    if not apart <= TOLERANCE:
        raise SystemExit(f"{name}: results differ by {apart:.1e}, limit {TOLERANCE:.0e}")
    for run in single.values():
        run()
    times = interleaved(single, rounds)
    ours, theirs = times.values()
    found = {
        "difference_float64": apart,
        "metajax_cpu_ms": interval(ours * 1e3),
        "torch_cpu_ms": interval(theirs * 1e3),
        "torch_over_metajax": interval(theirs / ours),
    }
    over = found["torch_over_metajax"]
    print(
        f"{name}: metajax {found['metajax_cpu_ms']['median']:.1f} ms, torch.func "
        f"{found['torch_cpu_ms']['median']:.1f} ms, ratio {over['median']:.2f} "
        f"[{over['low']:.2f}, {over['high']:.2f}], float64 difference {apart:.1e}",
        flush=True,
    )
    return found


def main() -> int:
    """Run both comparisons, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    torch = import_torch()
    result = use_one_thread(torch)
    result |= {"rounds": options.rounds, "meta_steps_per_timing": STEPS}

    config, key = CONFIG, jax.random.key(0)
    tasks = make_tasks(config, trained(config), key, config.trajectories)
    per_step = config.tasks_per_step // len(trained(config))
    keys = jax.random.split(key, (STEPS, per_step))
    batches = jax.jit(jax.vmap(jax.vmap(lambda k, tasks: tasks(k), (0, None)), (0, None)))(
        keys, tasks
    )
    algorithm = make_method(config, Problem(config, tasks)).algorithm
    params = algorithm.params(algorithm.init(key, tasks(key)))
    instances = new_instances(config, config.held_out, SYSTEMS)
    start = jax.tree.map(lambda leaf: jnp.asarray(leaf[:, 0]), instances.true[0])
    weights = jax.tree.map(
        lambda leaf: leaf[None] * (1 + 0.1 * jax.random.normal(key, (SYSTEMS,) + (1,) * leaf.ndim)),
        params,
    )

    def as_dtype(tree: Any, dtype: Any) -> Any:
        def cast(x):
            return np.asarray(x, dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x)

        return jax.tree.map(cast, tree)

    def steps(dtype: Any, num: int) -> tuple[dict[str, Run], float]:
        few = as_dtype(jax.tree.map(lambda x: x[:num], batches), dtype)
        first = as_dtype(params, dtype)
        run, seconds = meta_steps(config, jax.tree.map(jnp.asarray, first), few)
        return {"metajax": run, "torch": torch_meta_steps(torch, config, first, few)}, seconds

    def rolls(dtype: Any) -> tuple[dict[str, Run], float]:
        given = as_dtype((weights, start, instances.times), dtype)
        run, seconds = roll_out(config, *jax.tree.map(jnp.asarray, given))
        return {"metajax": run, "torch": torch_roll_out(torch, config, *given)}, seconds

    with enable_x64(True):
        losses = {side: run() for side, run in steps(np.float64, CHECKED)[0].items()}
        motions = {side: run() for side, run in rolls(np.float64)[0].items()}
    single, step_seconds = steps(np.float32, STEPS)
    result["meta-step"] = compare(f"{STEPS} meta-steps", losses, single, options.rounds)
    single, roll_seconds = rolls(np.float32)
    result["roll-out"] = compare("roll-out", motions, single, options.rounds)
    result["compile_cpu_seconds"] = {"meta-step": step_seconds, "roll-out": roll_seconds}
    print(f"to compile: {step_seconds:.1f} and {roll_seconds:.1f} CPU seconds")
    write_result(options.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
