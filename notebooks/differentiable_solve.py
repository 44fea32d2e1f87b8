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
# # What lies inside a plate, and where to drill it
#
# `solve_fn` makes the solution of a PDE a function of the problem's parameters. `jax.grad` and
# `jax.vmap` apply to it as to any other function of JAX. Here it recovers the conductivity of a
# plate, and the place where it is heated, from 30 noisy temperatures. Then it finds the position
# of a hole at which the least heat is lost. It takes under two minutes on two CPU cores.

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
import scipy.optimize

from metajax.core import float64_on_cpu
from metajax.physics.pde import Disk, Square
from metajax.physics.solver import PDEProblem, solve_fn

# %% [markdown]
# ## A plate
#
# The temperature `u` of a plate satisfies `div(a grad u) = -heat`, and is 0 at the edges. The
# logarithm of the conductivity `a` is a sum of ten cosines with unknown coefficients. The plate is
# heated a little everywhere and strongly at one place, which is also unknown.

# %%
ORDERS = np.array([(i, j) for i in range(4) for j in range(4 - i)])
SPREAD = 0.7 / (1 + (ORDERS**2).sum(1))  # smoother fields are more likely


def log_conductivity(unknown, x, y):
    across, along = jnp.pi / 2 * ORDERS.T * jnp.stack([x + 1, y + 1])[:, None]
    waves = jnp.cos(across) * jnp.cos(along)
    return jnp.sum(SPREAD * unknown["field"] * waves)


def diffusion(unknown):
    """The coefficients of div(a grad u): a u_xx + a u_yy + a_x u_x + a_y u_y."""

    def a(x, y):
        return jnp.exp(log_conductivity(unknown, x, y))

    return {
        "u_xx": jax.vmap(a),
        "u_yy": jax.vmap(a),
        "u_x": jax.vmap(jax.grad(a, 0)),
        "u_y": jax.vmap(jax.grad(a, 1)),
    }


def plate(unknown):
    def heat(x, y):
        apart = (x - unknown["source"][0]) ** 2 + (y - unknown["source"][1]) ** 2
        return -(4 + 20 * jnp.exp(-apart / 0.18))

    return PDEProblem(diffusion(unknown), source=heat, dirichlet=0)


example = {"field": np.zeros(len(ORDERS)), "source": np.zeros(2)}
with float64_on_cpu():
    temperature = solve_fn(plate, example, features=120)
    print(f"left of the equations: {temperature.residual(example):.1e} of their terms")

# %% [markdown]
# ## Thirty measurements of each of 16 plates
#
# For each plate a field and a source are drawn. The temperature is measured at 30 points, with an
# error of 1% of the largest temperature. The measurements come from a solve with more features and
# another seed. So they do not share the errors of the solve that is inverted.

# %%
PLATES, SENSORS, NOISE = 16, 30, 0.01
rng = np.random.default_rng(0)
sensors = rng.uniform(-0.95, 0.95, (SENSORS, 2))
truth = {
    "field": rng.normal(size=(PLATES, len(ORDERS))),
    "source": rng.uniform(-0.6, 0.6, (PLATES, 2)),
}
with float64_on_cpu():
    finer = solve_fn(plate, example, features=200, seed=1)
    clean = np.asarray(jax.jit(jax.vmap(lambda one: finer(one)(sensors)))(truth))
error = NOISE * np.abs(clean).max(1)
measured = clean + error[:, None] * rng.normal(size=clean.shape)

# %% [markdown]
# ## Recover them
#
# The most likely field and source minimize a sum of squares with two parts. One is the misfit of
# the measurements over their error. The other is the unknowns over their prior deviation.
# Gauss-Newton needs the derivatives of the 30 temperatures with respect to all 12 unknowns.
# `jax.jacfwd` computes them through the solve.


# %%
def fit(measured, error):
    """The unknowns of one plate, by 15 damped steps of Gauss-Newton."""
    start, build = jax.flatten_util.ravel_pytree(example)

    def left(values):
        unknown = build(values)
        off = (temperature(unknown)(sensors) - measured) / error
        return jnp.concatenate([off, unknown["field"], unknown["source"] / 0.35])

    def step(state, _):
        values, cost, damping = state
        now, slope = left(values), jax.jacfwd(left)(values)
        square = slope.T @ slope + damping * jnp.eye(len(values))
        tried = values - jnp.linalg.solve(square, slope.T @ now)
        tried_cost = jnp.sum(left(tried) ** 2)
        better = tried_cost < cost
        values, cost = jax.tree.map(
            lambda new, old: jnp.where(better, new, old), (tried, tried_cost), (values, cost)
        )
        return (values, cost, jnp.where(better, damping / 5, damping * 5)), None

    begin = (start, jnp.sum(left(start) ** 2), jnp.ones(()))
    (values, *_), _ = jax.lax.scan(step, begin, length=15)
    return build(values)


begin = time.perf_counter()
with float64_on_cpu():
    found = jax.jit(lambda *given: jax.lax.map(lambda one: fit(*one), given))(measured, error)
    found = jax.tree.map(np.asarray, found)
print(f"{PLATES} plates in {time.perf_counter() - begin:.0f} s, compiling included")

# %% [markdown]
# How large are the errors? The baseline is the best constant for each plate, which uses the truth.

# %%
line = np.linspace(-1, 1, 41)
x, y = np.meshgrid(line, line)


def field(unknown):
    found = jax.vmap(lambda x, y: log_conductivity(unknown, x, y))(x.ravel(), y.ravel())
    return np.asarray(found).reshape(x.shape)


def of_plate(unknown, number):
    return {name: value[number] for name, value in unknown.items()}


fields = [[field(of_plate(one, n)) for n in range(PLATES)] for one in (truth, found)]
true_field, found_field = np.array(fields)
off = np.sqrt(np.mean((found_field - true_field) ** 2, (1, 2)))
constant = true_field.std((1, 2))
apart = np.linalg.norm(found["source"] - truth["source"], axis=1)


def spread_of(values):
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"median {middle:.2f}, quartiles {low:.2f} to {high:.2f}"


print(f"log conductivity, root mean square error: {spread_of(off)}")
print(f"the best constant of each plate:          {spread_of(constant)}")
print(f"better than the constant:                 {(off < constant).sum()} of {PLATES}")
print(f"distance of the source:                   {spread_of(apart)}")
assert np.median(off) < 0.6 * np.median(constant)

# %%
best = np.argsort(off / constant)[PLATES // 2]  # neither the best nor the worst
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
largest = np.abs(true_field[best]).max()
for panel, title, values, unknown in zip(
    axes, ("true", "recovered"), (true_field, found_field), (truth, found), strict=True
):
    image = panel.pcolormesh(x, y, values[best], vmin=-largest, vmax=largest, cmap="RdBu_r")
    panel.plot(*unknown["source"][best], "k*", markersize=14, label="source")
    panel.plot(*sensors.T, "k.", markersize=3, label="sensors")
    panel.set(title=f"log conductivity, {title}", aspect="equal")
axes[0].legend(loc="lower left")
figure.colorbar(image, ax=axes)
plt.show()

# %% [markdown]
# ## Where to drill
#
# A pipe of temperature 1 is to pass through the recovered plate, which has no other source of heat.
# The heat that the pipe loses depends on its position. The gradient with respect to the hole's
# center leads to the best position. A map of 400 positions, computed in one call, checks it.

# %%
RADIUS = 0.2
angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
normal = np.stack([np.cos(angle), np.sin(angle)], 1)
material = of_plate(found, best)


def drilled(centre):
    hole = Disk(centre, RADIUS, "hole")
    edges = {"square": 0, "hole": 1}
    return PDEProblem(diffusion(material), domain=Square() - hole, dirichlet=edges)


with float64_on_cpu():
    around = solve_fn(drilled, np.zeros(2), features=150)

    def lost(centre):
        """Heat through the hole's edge."""
        edge = centre[None] + RADIUS * normal
        flux = jnp.sum(around(centre).gradient(edge) * normal, 1)
        a = jnp.exp(jax.vmap(lambda x, y: log_conductivity(material, x, y))(*edge.T))
        return -2 * jnp.pi * RADIUS * jnp.mean(a * flux)

    grid = np.linspace(-0.6, 0.6, 20)
    places = np.stack(np.meshgrid(grid, grid), -1)
    everywhere = jax.jit(lambda at: jax.lax.map(lost, at, batch_size=20))
    losses = np.asarray(everywhere(places.reshape(-1, 2))).reshape(20, 20)

    descend = jax.jit(jax.value_and_grad(lost))
    path = [np.array([0.5, 0.5])]
    designed = scipy.optimize.minimize(
        lambda centre: [np.asarray(part) for part in descend(centre)],
        path[0],
        jac=True,
        method="L-BFGS-B",
        bounds=[(-0.6, 0.6)] * 2,
        callback=lambda centre: path.append(centre.copy()),
    )
    left = float(around.residual(designed.x))
lowest = np.unravel_index(np.argmin(losses), losses.shape)
print(f"found at ({designed.x[0]:.2f}, {designed.x[1]:.2f}) in {designed.nfev} solves")
print(f"lost there {designed.fun:.3f}, least on the map {losses[lowest]:.3f}")
print(f"near the middle {losses[10, 10]:.3f}, most on the map {losses.max():.3f}")
print(f"left of the equations there: {left:.1e} of their terms")
assert designed.fun <= losses.min() * 1.001

# %%
figure, panel = plt.subplots(figsize=(5.5, 4.4), layout="constrained")
image = panel.contourf(grid, grid, losses, 20, cmap="viridis")
figure.colorbar(image, label="heat lost")
panel.plot(*np.array(path).T, "w.-", label="steps of the descent")
panel.add_patch(plt.Circle(designed.x, RADIUS, fill=False, color="w", lw=2))
panel.plot(*designed.x, "w*", markersize=14)
panel.set(xlabel="x of the hole's centre", ylabel="y", aspect="equal", title="where to drill")
panel.legend(loc="lower left")
plt.show()

# %% [markdown]
# ## Now change this
#
# - Measure less or worse: `SENSORS`, `NOISE`. Where nothing is measured, the field tends to 0.
# - Make the hole's radius another unknown: `drilled` may depend on both, as `Disk` takes traced
#   sizes.
# - Add a nonlinear term: `nonlinear=lambda u, gradient, coordinates: -u**4` is radiation.
# - Replace `plate` with your own problem. `temperature.residual` returns the relative residual of
#   its equations for given parameters.
