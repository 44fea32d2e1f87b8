# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A PDE in, a network that solves it out
#
# A hypernetwork reads a linear PDE of second order, its domain and its boundary data. It generates
# the weights of a small network that is the solution. This notebook uses the hypernetwork that
# comes with the package, which was trained on a CPU. It shows how good one pass is, how much least
# squares improve it, and how far these solutions can be trusted. About three minutes on a CPU.

# %%
# metajax is on no package index. Where it is missing, as on Colab, install it from a clone, or from
# a wheel that `pip wheel --no-deps .` makes in a clone and that you upload next to this notebook.
import importlib.util

if importlib.util.find_spec("metajax") is None:
    raise ModuleNotFoundError(
        "metajax is missing: run `%pip install 'PATH[export,physics]'` in a new cell, with the "
        "path of a clone of metajax or of a wheel made there by `pip wheel --no-deps .`, and then "
        "this cell again"
    )

# %%
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from metajax.physics.pde import PDE, Disk, Square, benchmark, rasterise, sample
from metajax.systems import hypino

# %% [markdown]
# ## The problem
#
# The problem is a plate with a hole. It is heated everywhere, and kept at 0 on its outer edge and
# at 1 on the edge of the hole. The coefficients are those of `u`, `u_x`, `u_y`, `u_xx` and `u_yy`.

# %%
plate = PDE(
    [0, 0, 0, 1, 1],
    source=-2.0,
    domain=Square() - Disk((0.3, 0.2), 0.25),
    dirichlet={"square": 0.0, "disk": 1.0},
)
model = hypino.shipped()
size = model.config.grid
points = sample(plate, jax.random.key(0))
inputs = hypino.Inputs(plate.coefficients, rasterise(plate, points, size))

figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
for ax, name in zip(axes, ("source", "dirichlet_mask", "dirichlet"), strict=True):
    image = ax.imshow(getattr(inputs.grids, name), origin="lower", extent=(-1, 1, -1, 1))
    ax.set_title(name.replace("_", " "))
    figure.colorbar(image, ax=ax)
plt.show()

# %% [markdown]
# ## One pass
#
# `adapt` is one pass of the hypernetwork. `predict` evaluates the generated network and its
# derivatives. Both are pure functions, so `vmap` solves a batch of problems.

# %%
learner = model.learner
adapt = jax.jit(learner.adapt)
weights = jax.block_until_ready(adapt(model.params, inputs, jax.random.key(0)))
began = time.perf_counter()
for _ in range(10):
    weights = jax.block_until_ready(adapt(model.params, inputs, jax.random.key(0)))
print("one pass:", round(100 * (time.perf_counter() - began), 2), "ms")
u = learner.predict(model.params, weights, points.interior)
residual = u.xx + u.yy + 2.0
print("root mean square of the equation's residual:", float(jnp.sqrt(jnp.mean(residual**2))))

# %%
tasks = hypino.make_tasks(model.config)
batch = jax.jit(jax.vmap(tasks))(jax.random.split(jax.random.key(1), 64))
keys = jax.random.split(jax.random.key(2), 64)


@jax.jit
def solutions(params, batch, keys):
    def one(task, key):
        return learner.predict(
            params, learner.adapt(params, task.support, key), task.query.points.interior
        ).u

    return jax.vmap(one)(batch, keys)


found, true = solutions(model.params, batch, keys), batch.query.solution.u
relative = jnp.linalg.norm(found - true, axis=1) / jnp.linalg.norm(true, axis=1)
relative = np.asarray(relative)[np.asarray(batch.query.valid)]
print("relative error of 64 new random problems, median:", np.median(relative).round(3))

# %%
assert np.median(relative) < 0.6

# %% [markdown]
# ## A derivative with respect to the problem
#
# One pass is a differentiable function of the problem. So its derivative says how much the value in
# the middle changes with the heating.


# %%
@jax.jit
def middle(source):
    grids = inputs.grids._replace(source=jnp.full((size, size), source))
    weights = learner.adapt(model.params, inputs._replace(grids=grids), jax.random.key(0))
    return learner.predict(model.params, weights, jnp.zeros((1, 2))).u[0]


slope = jax.grad(middle)(-2.0)
difference = (middle(-1.99) - middle(-2.01)) / 0.02
print("by automatic differentiation:", float(slope), " by differences:", float(difference))

# %%
assert abs(slope - difference) < 0.05 * abs(slope) + 1e-3

# %% [markdown]
# ## Solving the last layer by least squares
#
# The problem is linear, and a network is linear in its last layer. So for the hidden layers that
# the hypernetwork generates, one least-squares solve gives the best last layer. Random hidden
# layers work too if they are wide enough: without a trained model, `solve` uses 2000 random
# features. Here both solve a benchmark with a known solution, the heat equation:

# %%
heat = benchmark("HT")
ways = {
    "one pass": {"model": model, "head": False},
    "three refinements": {"model": model, "head": False, "rounds": 3},
    "their last layers solved for": {"model": model, "features": 0, "rounds": 3},
    "2000 random features": {},
}
solved = {name: hypino.solve(heat.pde, **how) for name, how in ways.items()}
errors = {}
for name, found in solved.items():
    off = found.u[heat.place] - np.asarray(heat.reference)
    errors[name] = np.mean(off**2)
    print(f"{name:30} error {errors[name]:.1e}, residual {found.residual_rms:.1e}")
print(f"{'0 everywhere':30} error {np.mean(np.asarray(heat.reference) ** 2):.1e}")

# %%
assert errors["their last layers solved for"] < 0.1 * errors["one pass"]
assert errors["2000 random features"] < 1e-8

# %% [markdown]
# The residual is known without a reference solution. Look at it before you trust a solution.

# %%
figure, axes = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained")
for ax, (name, found) in zip(axes, solved.items(), strict=True):
    image = ax.imshow(found.u, origin="lower", extent=(-1, 1, -1, 1), vmin=-0.1, vmax=1.1)
    ax.set_title(name, fontsize=9)
figure.colorbar(image, ax=axes)
plt.show()

# %% [markdown]
# ## Now change this
#
# - Give `PDE` coefficients, a source and boundary values of your own. Its domain can be any
#   combination of disks, rectangles and polygons.
# - `metajax solve problem.yaml` does the same from a file.
# - `metajax train hypino` trains a hypernetwork.
