"""What a MAML meta-step costs compared with plain JAX and PyTorch's ways of doing it.

    python benchmarks/fewshot.py --out benchmarks/results/fewshot.json

1. `maml`: sinusoid regression, MLP 1-40-40-1, 25 tasks of 10 + 10 points, 5 SGD steps at .01, Adam
   1e-3 outside; second and first order.
2. `conv`: 8 tasks of 5 ways, 1 shot and 15 queries per class (scikit-learn's digits, enlarged to
   28 x 28), four convolution blocks of 32 filters, normalized over the batch, one SGD step at .1,
   Adam 1e-3 outside; second order.

All sides start from the same weights and see the same arrays, and the losses of their first
meta-steps must agree, in float64, before anything is timed, in float32. Then they take turns in one
process on one thread; CPU seconds count, compared round by round. PyTorch is needed (exits with 2
without it); learn2learn, higher and TorchOpt are named where they are missing, with the command
that gives them.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib
import importlib.metadata
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import (
    import_torch,
    interleaved,
    interval,
    linear,
    parameter,
    shown,
    use_one_thread,
    write_result,
)

from metajax.core import GradientState, Network, Params, Task, enable_x64, gradient
from metajax.data import sinusoid_tasks
from metajax.learners import cross_entropy, maml, mean_squared_error
from metajax.nn import conv_net, mlp
from metajax.systems import build, configure

OUTER_RATE = 1e-3
CHECKED_STEPS = 5
# Largest difference of the losses of the first meta-steps in float64 (ours come as float32),
# and of the first in float32: there later ones drift apart, as the inner gradient jumps where
# rounding switches a ReLU or a pooling, and the next loss with it.
TOLERANCE, TOLERANCE_32 = 1e-6, 1e-4
ONE, MANY = "metajax, a step per dispatch", "metajax, many steps per dispatch"
VMAP_GRAD, GRAD_VMAP = "torch.func, vmap of grad", "torch.func, gradient of vmap"

GOALS: dict[str, dict[str, float]] = {
    "maml, second order": {
        "JAX by hand, a step per dispatch": 1.4,
        "PyTorch, batched by hand": 4.0,
        VMAP_GRAD: 7.0,
        GRAD_VMAP: 7.0,
        "learn2learn": 55.0,
    },
    "conv": {VMAP_GRAD: 1.5},
}
"""CPU time over that of ours with many steps per dispatch."""

PEERS = {
    "learn2learn": (
        "learn2learn.algorithms.maml",
        "pip install learn2learn==0.2.0 (up to Python 3.10; see benchmarks/README.md)",
    ),
    "higher": ("higher", "pip install higher==0.2.1"),
    "torchopt": ("torchopt", "pip install torchopt==0.7.3"),
}
"""What is imported, and how to get it."""

Run = Callable[[], np.ndarray]
"""Takes meta-steps from where the last call stopped and returns their losses."""


@dataclasses.dataclass(frozen=True)
class Work:
    """One problem, as every side is given it.

    Attributes:
      network: ours.
      loss: ours.
      module: ``module(torch, params)``, the same network in PyTorch.
      torch_loss: name of the same loss in ``torch.nn.functional``.
      tasks: numpy arrays, ``[steps, tasks, ...]``.
      inner_steps: gradient steps of a task.
      inner_rate: their learning rate.
      first_order: whether inner gradients are constants.
    """

    network: Network
    loss: Any
    module: Callable[[Any, Params], Any]
    torch_loss: str
    tasks: Task
    inner_steps: int
    inner_rate: float
    first_order: bool = False

    @property
    def num_tasks(self) -> int:
        """Tasks of a meta-step."""
        return self.tasks.support.inputs.shape[1]

    def params(self) -> Params:
        """The weights that all sides start from, in the dtype of the tasks' inputs."""
        inputs = self.tasks.support.inputs
        drawn = self.network.init(jax.random.key(0), jnp.asarray(inputs[0, 0], jnp.float32))
        return jax.tree.map(lambda x: np.asarray(x, inputs.dtype), drawn)

    def first(self, steps: int, dtype: Any) -> Work:
        """The first ``steps`` batches of tasks, their floats in ``dtype``."""

        def cut(x):
            return x[:steps] if x.dtype == np.int32 else x[:steps].astype(dtype)

        return dataclasses.replace(self, tasks=jax.tree.map(cut, self.tasks))


# the problems


def sinusoids(steps: int, first_order: bool) -> Work:
    """Regress sinusoids with a small MLP."""

    def module(torch: Any, params: Params) -> Any:
        nn = torch.nn
        layers: list[Any] = []
        for name in sorted(params):
            layers += [linear(torch, params[name]), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    keys = jax.random.split(jax.random.key(1), (steps, 25))
    tasks = jax.jit(jax.vmap(jax.vmap(sinusoid_tasks())))(keys)
    return Work(
        mlp([40, 40], 1),
        mean_squared_error,
        module,
        "mse_loss",
        jax.tree.map(np.array, tasks),
        inner_steps=5,
        inner_rate=0.01,
        first_order=first_order,
    )


def images(steps: int) -> Work:
    """Tell apart five classes of digits with the usual convolutional network."""

    def module(torch: Any, params: Params) -> Any:
        nn = torch.nn
        layers: list[Any] = []
        for name in sorted(set(params) - {"head"}):
            block = params[name]
            kernel = block["kernel"].transpose(3, 2, 0, 1)
            conv = nn.Conv2d(*kernel.shape[1::-1], kernel.shape[2], padding=1, bias=False)
            conv.weight = parameter(torch, kernel)
            norm = nn.BatchNorm2d(kernel.shape[0], track_running_stats=False)
            norm.weight = parameter(torch, block["scale"])
            norm.bias = parameter(torch, block["bias"])
            layers += [conv, norm, nn.ReLU(), nn.MaxPool2d(2)]
        # one pixel is left: flat, its channels lie as they do in ours
        return nn.Sequential(*layers, nn.Flatten(), linear(torch, params["head"]))

    config = configure("fewshot", "digits", image_size=28, shots=1, queries=15)
    keys = jax.random.split(jax.random.key(1), (steps, 8))
    tasks = jax.jit(jax.vmap(jax.vmap(build(config).tasks)))(keys)
    # a little noise: of equal pixels PyTorch's pooling takes the first's derivative, ours the mean
    draw = np.random.default_rng(1)
    tasks = jax.tree.map(
        lambda x: (
            x + np.float32(0.1) * draw.standard_normal(x.shape, np.float32)
            if x.dtype == np.float32
            else np.array(x)
        ),
        tasks,
    )
    return Work(
        conv_net(5, channels=32),
        cross_entropy,
        module,
        "cross_entropy",
        jax.tree.map(np.array, tasks),
        inner_steps=1,
        inner_rate=0.1,
    )


# the JAX sides


def in_jax(
    update: Callable[[Any, Task], tuple[Any, Any]], state: Any, tasks: Task, many: bool
) -> tuple[Run, float]:
    """Run ``update(state, tasks) -> (state, loss)``; also CPU seconds to trace and compile it."""
    held = [jax.tree.map(jnp.array, state)]  # copied: it is donated
    batches = jax.tree.map(jnp.asarray, tasks)
    steps = batches.support.inputs.shape[0]
    parts = [jax.tree.map(lambda x, i=i: x[i], batches) for i in range(steps)]
    function = (lambda state, tasks: jax.lax.scan(update, state, tasks)) if many else update
    parts = [batches] if many else parts
    start = time.process_time()
    compiled = jax.jit(function, donate_argnums=0).lower(held[0], parts[0]).compile()
    seconds = time.process_time() - start

    def run() -> np.ndarray:
        losses = []
        for part in parts:
            held[0], loss = compiled(held[0], part)
            losses.append(loss)
        return np.array(losses).ravel()

    return run, seconds


def ours(work: Work, *, many: bool) -> tuple[Run, float]:
    """MAML by :mod:`metajax.learners` and :func:`metajax.core.gradient`."""
    learner = maml(
        work.network,
        work.loss,
        optax.sgd(work.inner_rate),
        steps=work.inner_steps,
        first_order=work.first_order,
    )
    optimizer = optax.adam(OUTER_RATE)
    algorithm = gradient(learner, optimizer)
    params = work.params()

    def update(state, tasks):
        state, metrics = algorithm.update(state, tasks, jax.random.key(0))
        return state, metrics["loss"]

    return in_jax(update, GradientState(params, optimizer.init(params)), work.tasks, many)


def by_hand(work: Work, *, many: bool) -> tuple[Run, float]:
    """MAML in JAX without a library: a vmap over tasks of a scan of inner steps."""

    def loss(params, examples):
        return work.loss(work.network.apply(params, examples.inputs), examples.targets)

    def task_loss(params, task):
        def step(adapted, _):
            grads = jax.grad(loss)(adapted, task.support)
            if work.first_order:
                grads = jax.lax.stop_gradient(grads)
            return jax.tree.map(lambda w, g: w - work.inner_rate * g, adapted, grads), None

        adapted, _ = jax.lax.scan(step, params, length=work.inner_steps)
        return loss(adapted, task.query)

    def mean_loss(params, tasks):
        return jnp.mean(jax.vmap(task_loss, in_axes=(None, 0))(params, tasks))

    optimizer = optax.adam(OUTER_RATE)

    def update(state, tasks):
        params, opt_state = state
        value, grads = jax.value_and_grad(mean_loss)(params, tasks)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), value

    params = work.params()
    return in_jax(update, (params, optimizer.init(params)), work.tasks, many)


# the PyTorch sides


def in_torch(
    torch: Any, work: Work, params: Sequence[Any], backward: Callable[..., Any], steps: int
) -> Run:
    """Run Adam after ``backward(*batch) -> loss``, which leaves the gradients in ``params``."""
    optimizer = torch.optim.Adam(params, OUTER_RATE, fused=True)

    def tensor(x: np.ndarray) -> Any:
        if x.ndim > 4:
            x = np.ascontiguousarray(np.moveaxis(x, -1, -3))  # images: channels first
        return torch.from_numpy(x.astype(np.int64) if x.dtype == np.int32 else x)

    leaves = [tensor(x[:steps]) for x in jax.tree.leaves(work.tasks)]
    batches = list(zip(*leaves, strict=True))

    def run() -> np.ndarray:
        losses = []
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            losses.append(backward(*batch).detach())
            optimizer.step()
        return torch.stack(losses).numpy()

    return run


def batched_by_hand(torch: Any, work: Work, steps: int) -> Run:
    """The MLP with an axis for tasks in every weight, its layers `baddbmm`."""
    params = [
        parameter(torch, layer[name])
        for _, layer in sorted(work.params().items())
        for name in ("kernel", "bias")
    ]

    def losses(weights, inputs, targets):
        x = inputs
        for layer, (kernel, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
            x = torch.baddbmm(bias[:, None], torch.relu(x) if layer else x, kernel)
        return (x - targets).square().mean((1, 2))

    def backward(inputs, targets, query_inputs, query_targets):
        weights = [p.expand(work.num_tasks, *p.shape) for p in params]
        for _ in range(work.inner_steps):
            total = losses(weights, inputs, targets).sum()
            grads = torch.autograd.grad(total, weights, create_graph=not work.first_order)
            weights = [w - work.inner_rate * g for w, g in zip(weights, grads, strict=True)]
        loss = losses(weights, query_inputs, query_targets).mean()
        loss.backward()
        return loss

    return in_torch(torch, work, params, backward, steps)


def by_torch_func(torch: Any, work: Work, steps: int, *, inside: bool) -> Run:
    """`torch.func`: each task's gradient inside the vmap over tasks, or their mean's outside."""
    module = work.module(torch, work.params())
    names, params = zip(*module.named_parameters(), strict=True)
    loss_of = getattr(torch.nn.functional, work.torch_loss)

    def loss(weights, inputs, targets):
        return loss_of(torch.func.functional_call(module, weights, (inputs,)), targets)

    def task_loss(weights, inputs, targets, query_inputs, query_targets):
        for _ in range(work.inner_steps):
            grads = torch.func.grad(loss)(weights, inputs, targets)
            if work.first_order:
                grads = {name: g.detach() for name, g in grads.items()}
            weights = {name: w - work.inner_rate * grads[name] for name, w in weights.items()}
        return loss(weights, query_inputs, query_targets)

    function = torch.func.grad_and_value(task_loss) if inside else task_loss
    of_tasks = torch.func.vmap(function, in_dims=(None, 0, 0, 0, 0))

    def backward(*batch):
        if not inside:
            loss = of_tasks(dict(zip(names, params, strict=True)), *batch).mean()
            loss.backward()
            return loss
        weights = {name: p.detach() for name, p in zip(names, params, strict=True)}
        grads, losses = of_tasks(weights, *batch)
        for name, p in zip(names, params, strict=True):
            p.grad = grads[name].mean(0)
        return losses.mean()

    return in_torch(torch, work, params, backward, steps)


def task_by_task(torch: Any, work: Work, steps: int, make: Callable[..., Any]) -> Run:
    """One task after the other: ``make(module, loss) -> task_loss``, whose gradients add up.

    ``task_loss(*task)`` returns a loss that has a gradient still to be taken, or one that has none
    left and has added its own.
    """
    module = work.module(torch, work.params())
    loss_of = getattr(torch.nn.functional, work.torch_loss)
    task_loss = make(module, loss_of)

    def backward(*batch):
        total = torch.zeros((), dtype=batch[0].dtype)
        for task in zip(*batch, strict=True):
            loss = task_loss(*task) / work.num_tasks
            if loss.requires_grad:
                loss.backward()
            total += loss.detach()
        return total

    return in_torch(torch, work, list(module.parameters()), backward, steps)


def with_autograd(torch: Any, work: Work, module: Any, loss_of: Any) -> Any:
    """No library: `torch.autograd.grad` and `functional_call`."""
    names, params = zip(*module.named_parameters(), strict=True)

    def task_loss(inputs, targets, query_inputs, query_targets):
        weights = params

        def call(x):
            return torch.func.functional_call(module, dict(zip(names, weights, strict=True)), (x,))

        for _ in range(work.inner_steps):
            grads = torch.autograd.grad(
                loss_of(call(inputs), targets), weights, create_graph=not work.first_order
            )
            weights = [w - work.inner_rate * g for w, g in zip(weights, grads, strict=True)]
        return loss_of(call(query_inputs), query_targets)

    return task_loss


def with_learn2learn(peer: Any, torch: Any, work: Work, module: Any, loss_of: Any) -> Any:
    """``MAML(module).clone()`` and ``adapt``."""
    wrapped = peer.MAML(module, lr=work.inner_rate, first_order=work.first_order)

    def task_loss(inputs, targets, query_inputs, query_targets):
        learner = wrapped.clone()
        for _ in range(work.inner_steps):
            learner.adapt(loss_of(learner(inputs), targets))
        return loss_of(learner(query_inputs), query_targets)

    return task_loss


def with_higher(peer: Any, torch: Any, work: Work, module: Any, loss_of: Any) -> Any:
    """``innerloop_ctx``; first order the way that trains something: gradients added by hand."""
    inner = torch.optim.SGD(module.parameters(), lr=work.inner_rate)

    def task_loss(inputs, targets, query_inputs, query_targets):
        with peer.innerloop_ctx(
            module, inner, copy_initial_weights=False, track_higher_grads=not work.first_order
        ) as (patched, steps):
            for _ in range(work.inner_steps):
                steps.step(loss_of(patched(inputs), targets))
            loss = loss_of(patched(query_inputs), query_targets)
            if not work.first_order:
                return loss
            grads = torch.autograd.grad(loss / work.num_tasks, list(patched.parameters()))
            for p, g in zip(module.parameters(), grads, strict=True):
                p.grad = g if p.grad is None else p.grad + g
            return loss.detach()

    return task_loss


def with_torchopt(peer: Any, torch: Any, work: Work, module: Any, loss_of: Any) -> Any:
    """``MetaSGD``, and the module put back after each task."""
    if work.first_order:
        raise NotImplementedError("MetaSGD always differentiates twice")
    start = peer.extract_state_dict(module, by="reference")

    def task_loss(inputs, targets, query_inputs, query_targets):
        inner = peer.MetaSGD(module, lr=work.inner_rate, moment_requires_grad=False)
        for _ in range(work.inner_steps):
            inner.step(loss_of(module(inputs), targets))
        loss = loss_of(module(query_inputs), query_targets)
        peer.recover_state_dict(module, start)
        return loss

    return task_loss


LIBRARIES = {"learn2learn": with_learn2learn, "higher": with_higher, "torchopt": with_torchopt}


def find_peers() -> tuple[dict[str, Any], dict[str, Any]]:
    """The libraries that can be imported, and for every one its version or why it is left out."""
    found, notes = {}, {}
    for name, (module, command) in PEERS.items():
        try:
            found[name] = importlib.import_module(module)
            notes[name] = {"version": importlib.metadata.version(name)}
        except Exception as error:  # old packages fail in many ways
            notes[name] = {"left_out": f"{type(error).__name__}: {error}", "get_it": command}
            print(f"{name} is left out ({error}); {command}", flush=True)
    return found, notes


# comparing


def make_sides(
    work: Work, torch: Any, peers: dict[str, Any], few: int
) -> tuple[dict[str, Run], dict[str, float], dict[str, str]]:
    """Every side's run, CPU seconds to compile those of JAX, and why a library is left out.

    The PyTorch sides take ``few`` steps a run, or four times as many where tasks are batched.
    """
    runs: dict[str, Run] = {}
    seconds: dict[str, float] = {}
    left_out: dict[str, str] = {}
    steps = work.tasks.support.inputs.shape[0]
    runs[ONE], seconds[ONE] = ours(work, many=False)
    runs[MANY], seconds[MANY] = ours(work, many=True)
    batched = min(steps, 4 * few)
    if work.inner_steps > 1:
        for side, many in (("a step per dispatch", False), ("many steps per dispatch", True)):
            side = f"JAX by hand, {side}"
            runs[side], seconds[side] = by_hand(work, many=many)
        runs["PyTorch, batched by hand"] = batched_by_hand(torch, work, batched)
    runs[VMAP_GRAD] = by_torch_func(torch, work, batched, inside=True)
    if work.inner_steps > 1:
        runs[GRAD_VMAP] = by_torch_func(torch, work, batched, inside=False)
    else:
        left_out[GRAD_VMAP] = (
            "PyTorch 2.13 differentiates a vmap of torch.func.grad through batch normalization "
            "wrongly (finite differences, and float64 losses that differ by 4e-2)"
        )
    make = functools.partial(with_autograd, torch, work)
    runs["PyTorch, task by task"] = task_by_task(torch, work, few, make)
    for library, peer in peers.items():
        make = functools.partial(LIBRARIES[library], peer, torch, work)
        try:
            runs[library] = task_by_task(torch, work, few, make)
        except NotImplementedError as error:
            left_out[library] = str(error)
    return runs, seconds, left_out


def losses_of(runs: dict[str, Run], peers: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The first losses of every side, and why a library does not run."""
    losses, left_out = {}, {}
    for side, run in runs.items():
        try:
            losses[side] = run()
        except Exception as error:  # old packages fail in many ways
            if side not in peers:
                raise
            left_out[side] = f"{type(error).__name__}: {error}"
    return losses, left_out


def compare(
    name: str, work: Work, torch: Any, peers: dict[str, Any], steps: int, few: int, rounds: int
) -> dict[str, Any]:
    """Check that all sides do the same work, time them, and return the table's rows.

    ``steps`` is what the JAX sides take per timing; ``few``, see :func:`make_sides`.

    Raises:
      SystemExit: the losses differ.
    """
    with enable_x64(True):
        exact = work.first(CHECKED_STEPS, np.float64)
        wide, _ = losses_of(make_sides(exact, torch, peers, CHECKED_STEPS)[0], peers)
    runs, compile_seconds, left_out = make_sides(work.first(steps, np.float32), torch, peers, few)
    losses, failed = losses_of(runs, peers)
    left_out |= failed
    runs = {side: run for side, run in runs.items() if side in losses}
    taken = {side: len(found) for side, found in losses.items()}
    for side, reason in left_out.items():
        print(f"{name}: {side} is left out: {reason}")

    def apart(found: dict[str, Any], steps: int) -> dict[str, float]:
        return {
            side: float(np.max(np.abs(found[side][:steps] - found[ONE][:steps]))) for side in runs
        }

    differences, first = apart(wide, CHECKED_STEPS), apart(losses, 1)
    print(f"\n{name}: losses in float64:", *(f"{x:.6f}" for x in wide[ONE]))
    print("differences from these, and of the first loss in float32:")
    for side in runs:
        print(f"  {side:36} {differences[side]:.1e}  {first[side]:.1e}")
    if not (max(differences.values()) <= TOLERANCE and max(first.values()) <= TOLERANCE_32):
        raise SystemExit(f"{name}: losses differ by more than {TOLERANCE}, {TOLERANCE_32}")

    times = interleaved(runs, rounds)
    per_step = {side: times[side] / taken[side] * 1e3 for side in runs}
    goals = GOALS.get(name, {})
    rows = {}
    print(f"\n{name}, {rounds} rounds{'':24} ms a step   over ours, many     over ours, one   goal")
    for side, values in per_step.items():
        row: dict[str, Any] = {
            "cpu_ms_per_step": interval(values),
            "steps_per_timing": taken[side],
            "loss_difference_float64": differences[side],
            "first_loss_difference_float32": first[side],
            "over_metajax_many_steps": interval(values / per_step[MANY]),
            "over_metajax_one_step": interval(values / per_step[ONE]),
        }
        text = ""
        if side in goals:
            row["goal"] = goals[side]
            row["goal_met"] = row["over_metajax_many_steps"]["median"] >= goals[side]
            text = f"{goals[side]:g} {'met' if row['goal_met'] else 'missed'}"
        rows[side] = row
        print(
            f"{side:44} {row['cpu_ms_per_step']['median']:9.3f}   "
            f"{shown(row['over_metajax_many_steps'])}   {shown(row['over_metajax_one_step'])}   "
            f"{text}"
        )
    print("CPU seconds to trace and compile:")
    for side, seconds in compile_seconds.items():
        print(f"  {side:36} {seconds:.2f}")
    return {"rows": rows, "compile_cpu_seconds": compile_seconds, "left_out": left_out}


def main() -> int:
    """Run the comparisons, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=("maml", "conv"), default=("maml", "conv"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    torch = import_torch()
    result = use_one_thread(torch)

    peers, notes = find_peers()
    result |= {"rounds": options.rounds, "peers": notes}
    if "maml" in options.parts:
        for name, first_order in (("second order", False), ("first order", True)):
            work = sinusoids(100, first_order)
            result[f"maml, {name}"] = compare(
                f"maml, {name}", work, torch, peers, steps=100, few=5, rounds=options.rounds
            )
    if "conv" in options.parts:
        work = images(CHECKED_STEPS)
        result["conv"] = compare("conv", work, torch, peers, steps=2, few=2, rounds=options.rounds)
    write_result(options.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
