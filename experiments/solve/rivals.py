"""The problems of `rival_problems.py` by other libraries: DeepXDE, jinns and scikit-fem.

    python experiments/solve/rivals.py deepxde --cpu-seconds 10 30 --seeds 0 1

None of them is needed by metajax. DeepXDE and jinns are run in an environment of their own
(`pip install deepxde torch jinns`), on one core; scikit-fem comes with metajax's extra `test`. The
networks are of 4 hidden layers of 50 tanh, in float32, with 2,500 points inside and 400 on the
boundary, as in the libraries' own examples. DeepXDE trains by Adam for a third of the largest
budget, then by L-BFGS; jinns by Adam. Writes `results/LIBRARY.json`: for each problem and seed the
relative error at a grid of 129 nodes a side after so many seconds of CPU time, compilation
included and import apart.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rival_problems import PROBLEMS, Given, reference, relative_error

WIDTH, DEPTH, LEARNING_RATE = 50, 4, 1e-3
INTERIOR, BOUNDARY = 2500, 400
ADAM_SHARE = 1 / 3
"""Of the largest budget; the rest is L-BFGS."""
CHUNK = 50
"""Steps of jinns between two measurements."""


class Clock:
    """Records errors by the CPU time that training has taken; what is measured is not counted.

    Args:
      name: of the problem.
      budgets: CPU seconds, ascending.
    """

    def __init__(self, name: str, budgets: list[float]):
        self.points, self.true = reference(name)
        self.budgets, self.rows = list(budgets), []
        self.excluded, self.wall_excluded = 0.0, 0.0
        self.began, self.wall_began = time.process_time(), time.perf_counter()

    @property
    def spent(self) -> float:
        return time.process_time() - self.began - self.excluded

    def look(
        self, predict: Callable[[np.ndarray], np.ndarray], steps: int, ended: bool = False
    ) -> bool:
        """Record the error where a budget is used up; return whether all are.

        Args:
          predict: the solution at points.
          steps: taken until now.
          ended: whether nothing changes any more.
        """
        while self.budgets and (ended or self.spent >= self.budgets[0]):
            cpu, wall = time.process_time(), time.perf_counter()
            found = np.asarray(predict(self.points)).ravel()
            row = {
                "budget": self.budgets.pop(0),
                "cpu_seconds": round(cpu - self.began - self.excluded, 2),
                "seconds": round(wall - self.wall_began - self.wall_excluded, 2),
                "steps": steps,
                "error": relative_error(found, self.true),
            }
            self.rows.append(row)
            print(row, flush=True)
            self.excluded += time.process_time() - cpu
            self.wall_excluded += time.perf_counter() - wall
        return not self.budgets


def by_deepxde(name: str, seed: int, budgets: list[float]) -> list[dict[str, Any]]:
    """A problem by DeepXDE."""
    import deepxde as dde
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports more of torch
    problem, clock = PROBLEMS[name], Clock(name, budgets)
    dde.config.set_random_seed(seed)
    (left, bottom), (right, top) = problem.lower, problem.upper
    geometry = dde.geometry.Rectangle(problem.lower, problem.upper)
    if problem.corner:
        geometry = geometry - dde.geometry.Rectangle([0, 0], problem.upper)

    def equation(at, u):
        slope = [dde.grad.jacobian(u, at, j=j) for j in (0, 1)]
        bend = [dde.grad.hessian(u, at, i=j, j=j) for j in (0, 1)]
        return problem.residual(torch, at[:, 0:1], at[:, 1:2], u, *slope, *bend)

    def on(edge: str, at, boundary: bool) -> bool:
        place, end = {"left": (0, left), "right": (0, right), "bottom": (1, bottom)}.get(
            edge, (1, top)
        )
        return boundary and (edge == "boundary" or bool(np.isclose(at[place], end)))

    def condition(given: Given):
        def value(at):
            return given.value(at[:, 0:1], at[:, 1:2], np)

        if given.kind == "value":
            return dde.icbc.DirichletBC(geometry, value, partial(on, given.edge))

        def slope(at, u, _):
            return dde.grad.jacobian(u, at, j=1)

        return dde.icbc.OperatorBC(geometry, slope, partial(on, given.edge))

    conditions = [condition(given) for given in problem.given]
    data = dde.data.PDE(geometry, equation, conditions, num_domain=INTERIOR, num_boundary=BOUNDARY)
    model = dde.Model(data, dde.nn.FNN([2] + [WIDTH] * DEPTH + [1], "tanh", "Glorot normal"))

    class Until(dde.callbacks.Callback):
        """Stops when so many CPU seconds are spent."""

        def __init__(self, seconds: float):
            super().__init__()
            self.seconds = seconds

        def on_epoch_end(self):
            ended = clock.look(self.model.predict, self.model.train_state.step)
            self.model.stop_training = ended or clock.spent >= self.seconds

    never = 10**9
    model.compile("adam", lr=LEARNING_RATE)
    until = Until(ADAM_SHARE * budgets[-1])
    model.train(iterations=never, display_every=never, callbacks=[until], verbose=0)
    dde.optimizers.set_LBFGS_options(maxiter=never, gtol=0)
    dde.optimizers.LBFGS_options["iter_per_step"] = 10  # so that the clock is looked at
    model.compile("L-BFGS")
    model.train(display_every=never, callbacks=[Until(never)], verbose=0)
    clock.look(model.predict, model.train_state.step, ended=True)
    return clock.rows


def by_jinns(name: str, seed: int, budgets: list[float]) -> list[dict[str, Any]]:
    """A problem by jinns, whose domains are boxes."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jinns
    import optax

    problem, clock = PROBLEMS[name], Clock(name, budgets)
    network_key, data_key = jax.random.split(jax.random.key(seed))
    hidden = [(eqx.nn.Linear, WIDTH, WIDTH), (jax.nn.tanh,)] * (DEPTH - 1)
    layers = ((eqx.nn.Linear, 2, WIDTH), (jax.nn.tanh,), *hidden, (eqx.nn.Linear, WIDTH, 1))
    network, initial = jinns.nn.PINN_MLP.create(
        key=network_key, eqx_list=layers, eq_type="PDEStatio"
    )

    class Equation(jinns.loss.PDEStatio):
        def equation(self, x, u, params):
            def value(at):
                return u(at, params)[0]

            slope, bend = jax.grad(value)(x), jax.hessian(value)(x)
            terms = *slope, bend[0, 0], bend[1, 1]
            return problem.residual(jnp, *x, value(x), *terms)[None]

    facets = ("left", "right", "bottom", "top")

    class Edges(jinns.loss.BoundaryConditionAbstract):
        def all_given(self):
            for given in problem.given:
                for place, facet in enumerate(facets):
                    if given.edge in ("boundary", facet):
                        yield given, place

        def equation_u(self, inputs, u, params):
            def one(given, at):
                if given.kind == "value":
                    return u(at, params)
                return jax.grad(lambda where: u(where, params)[0])(at)[1:]

            return tuple(one(given, inputs[..., place]) for given, place in self.all_given())

        def equation_f(self, inputs, params, gridify=False):
            return tuple(
                given.value(*inputs[..., place], jnp)[None] for given, place in self.all_given()
            )

    data = jinns.data.CubicMeshPDEStatio(
        key=data_key,
        n=INTERIOR,
        nb=BOUNDARY,
        dim=2,
        min_pts=problem.lower,
        max_pts=problem.upper,
        method="uniform",
    )
    params = jinns.parameters.Params(nn_params=initial, eq_params={})
    loss = jinns.loss.LossPDEStatio(
        u=network,
        dynamic_loss=Equation(),
        boundary_condition=Edges(),
        loss_weights=jinns.loss.LossWeightsPDEStatio(dyn_loss=1.0, boundary_loss=1.0),
        params=params,
    )
    optimizer = optax.adam(LEARNING_RATE)
    state, steps = None, 0

    @jax.jit
    def predicted(params, at):
        return jax.vmap(lambda x: network(x, params))(at)

    def predict(params, at):
        return predicted(params, jnp.asarray(at, jnp.float32))

    with tempfile.TemporaryDirectory() as folder:
        # so that a later chunk is not compiled again
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        while not clock.look(partial(predict, params), steps):
            params, _, _, data, loss, state, *_ = jinns.solve(
                n_iter=CHUNK,
                init_params=params,
                data=data,
                loss=loss,
                optimizer=optimizer,
                opt_state=state,
                verbose=False,
            )
            jax.block_until_ready(params)
            steps += CHUNK
    return clock.rows


LIBRARIES: dict[str, tuple[Callable[..., list[dict[str, Any]]], tuple[str, ...]]] = {
    "deepxde": (by_deepxde, ("deepxde", "torch")),
    "jinns": (by_jinns, ("jinns", "jax", "optax")),
}
"""How each solves a problem, and the packages whose versions matter."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=list(LIBRARIES))
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=list(PROBLEMS))
    parser.add_argument("--cpu-seconds", nargs="+", type=float, default=[10.0, 30.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    solve, packages = LIBRARIES[options.library]
    out = options.out or Path(__file__).parent / "results" / f"{options.library}.json"
    began = time.process_time()
    for package in packages:
        importlib.import_module(package)
    imported = round(time.process_time() - began, 1)
    rows: dict[str, dict[str, Any]] = {name: {} for name in options.problems}
    out.parent.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in options.problems:
            if options.library == "jinns" and PROBLEMS[name].corner:
                continue
            print(name, seed, flush=True)
            rows[name][str(seed)] = solve(name, seed, options.cpu_seconds)
            found = {
                "command": " ".join(["python experiments/solve/rivals.py", *sys.argv[1:]]),
                "hardware": f"{os.cpu_count()} CPU cores, one used",
                "versions": {name: importlib.metadata.version(name) for name in packages}
                | {"python": platform.python_version()},
                "import_cpu_seconds": imported,
                "problems": rows,
            }
            out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    # one core: CPU time is then what a quiet machine would take
    one = "--xla_cpu_multi_thread_eigen=false"
    os.environ |= {"OMP_NUM_THREADS": "1", "DDE_BACKEND": "pytorch", "XLA_FLAGS": one}
    main()
