"""Fine-tune a solution from a generated, a random and a Reptile start, on the seven benchmarks.

    python experiments/hypino/starts.py --model WORKDIR          # else the shipped hypernetwork
    python experiments/hypino/starts.py --steps 10000 --points 2048          # as published

Writes `starts.json`: for every benchmark and start the mean squared error against the reference
after 0, `--every`, 2 `--every`, ... steps of Adam (1e-4 falling along a cosine), and after L-BFGS
from there. Random starts are several, one a seed. Reptile learns its start from random problems,
as many points each. Of arXiv 2509.05117, section 5: how many steps a random start needs to
come as near as a generated one begins.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from metajax.core import Task
from metajax.learners import reptile
from metajax.physics.pde import (
    PROBLEMS,
    PUBLISHED,
    REFERENCE_SIZE,
    benchmark,
    nodes,
    on_reference_grid,
    rasterise,
    sample,
)
from metajax.systems.hypino import (
    Inputs,
    Model,
    adam,
    as_examples,
    as_network,
    equation_loss,
    finetune,
    load_model,
    make_tasks,
    shipped,
    tuning_curves,
)
from metajax.train import fit, provenance, write_json

KEY = jax.random.key(2509)


def reptile_start(model: Model, points: int, meta_steps: int) -> Any:
    """A start learned from random problems, half of them without a known solution."""
    target = model.method.parts.function
    draw = make_tasks(model.config, supervised=0.5)

    def problem(draw: Any, key: Any) -> Task:
        drawn = draw(key)
        # a problem out of bounds may be infinite: there, learn from u = 0
        held = jax.tree.map(
            lambda leaf: jnp.where(drawn.query.valid, leaf, jnp.zeros_like(leaf)),
            (drawn.support.coefficients, drawn.query.points),
        )
        return Task(as_examples(*held), as_examples(*held))

    algorithm = reptile(
        as_network(target),
        equation_loss,
        optax.adam(1e-3, b1=0.0),
        optax.sgd(optax.linear_schedule(1.0, 0.0, meta_steps)),
        steps=10,
    )
    tasks = jax.tree_util.Partial(problem, draw)
    return fit(algorithm, tasks, steps=meta_steps, tasks_per_step=8, key=KEY).params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a file of save_model; else the shipped one")
    parser.add_argument("--benchmarks", nargs="*", default=list(PUBLISHED), choices=list(PROBLEMS))
    parser.add_argument("--steps", type=int, default=2000, help="of Adam")
    parser.add_argument("--polish", type=int, default=200, help="steps of L-BFGS after it")
    parser.add_argument("--every", type=int, default=50, help="steps between records")
    parser.add_argument("--points", type=int, default=512, help="interior and boundary points")
    parser.add_argument("--seeds", type=int, default=3, help="random starts")
    parser.add_argument("--meta-steps", type=int, default=500, help="of Reptile")
    parser.add_argument("--out", type=Path, default=Path("experiments/hypino/results/starts.json"))
    options = parser.parse_args()
    model = load_model(options.model) if options.model else shipped()
    target = model.method.parts.function
    generate = jax.jit(lambda params, inputs: model.learner.adapt(params, inputs, KEY))
    grid = nodes(REFERENCE_SIZE).reshape(-1, 2)
    began = time.process_time()
    learned = reptile_start(model, options.points, options.meta_steps)
    reptile_seconds = round(time.process_time() - began, 1)
    keys = jax.random.split(KEY, options.seeds)
    random = [target.init(key, grid[:1]) for key in keys]

    @jax.jit
    def run(starts: Any, problem: Any, reference: Any, scored: Any) -> tuple[Any, Any]:
        def error(weights: Any) -> Any:
            return jnp.mean((target.apply(weights, grid)[:, 0] - reference) ** 2, where=scored)

        def polished(weights: Any) -> Any:
            made = finetune(
                as_network(target), weights, problem, optax.lbfgs(), steps=options.polish
            )
            return error(made.weights)

        errors, tuned = tuning_curves(
            target,
            starts,
            problem,
            adam(options.steps),
            error,
            steps=options.steps,
            every=options.every,
        )
        return errors, jax.vmap(polished)(tuned)

    names = ["generated", "reptile", *(f"random_{seed}" for seed in range(options.seeds))]
    found: dict[str, Any] = {}
    for name in options.benchmarks:
        known = benchmark(name)
        points = sample(known.pde, KEY, options.points, options.points)
        coefficients = jnp.asarray(known.pde.coefficients, jnp.float32)
        many = sample(known.pde, KEY, 2048, 2048)  # for the images, as in the evaluation
        inputs = Inputs(coefficients, rasterise(known.pde, many, model.config.grid))
        starts = jax.tree.map(
            lambda *leaves: jnp.stack(leaves), generate(model.params, inputs), learned, *random
        )
        began = time.process_time()
        reference, scored = on_reference_grid(known.place, known.reference)
        errors, polished = run(
            starts, as_examples(coefficients, points), reference.reshape(-1), scored.reshape(-1)
        )
        curves = dict(zip(names, np.asarray(errors).tolist(), strict=True))
        ends = dict(zip(names, np.asarray(polished).tolist(), strict=True))
        steps = [
            int(np.argmax(np.append(curves[n], 0) <= curves["generated"][0])) * options.every
            for n in names[2:]
        ]
        found[name] = {
            "zero": float(np.mean(np.asarray(known.reference) ** 2)),
            "curves": curves,
            "polished": ends,
            "random_steps_to_generated": steps,
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        print(
            name,
            {n: (f"{c[0]:.1e}", f"{c[-1]:.1e}", f"{ends[n]:.1e}") for n, c in curves.items()},
            steps,
            flush=True,
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    settings = {name: str(value) for name, value in vars(options).items()}
    content = {"settings": settings, "reptile_cpu_seconds": reptile_seconds, "benchmarks": found}
    write_json(options.out, content | provenance())


if __name__ == "__main__":
    main()
