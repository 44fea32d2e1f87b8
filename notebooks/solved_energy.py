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
# # An energy from 20 points, in milliseconds
#
# The rates of a mechanical system are linear in its energy `H`. If `H = phi . head`, then
# `dq/dt = dphi/dp . head` and `dp/dt = -dphi/dq . head`. So an energy adapts to a new system
# without a gradient step. Its features `phi` are meta-learned. Its head, the weights of the
# features, is solved by least squares on the observed points. Under a minute on a CPU.

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
import optax

import metajax as mj
from metajax.learners import linear_head
from metajax.nn import mlp
from metajax.physics import (
    energy_columns,
    get_mechanics,
    stacked,
    symplectic_gradient,
    trajectory,
)

# %% [markdown]
# ## Tasks
#
# A task is one system of a type, with its own constants and initial state. It has sixty points of
# the motion over ten seconds, in random order. The first 20 are the support, the others the query.

# %%
SEEN, POINTS = 20, 60
times = np.linspace(0, 10, POINTS, dtype=np.float32)


def make_task(mechanics, key):
    draw_key, order_key = jax.random.split(key)
    parameters, start = mechanics.draw(draw_key)
    states = trajectory(mechanics, start, parameters, times, method="leapfrog", substeps=8).states
    rates = jax.vmap(mechanics.derivative, (0, None))(states, parameters)
    order = jax.random.permutation(order_key, POINTS)
    points = mj.Examples(*jax.tree.map(lambda leaf: leaf[order], (states, rates)))
    support, query = (
        jax.tree.map(lambda leaf, part=part: leaf[part], points)
        for part in (slice(SEEN), slice(SEEN, None))
    )
    return mj.Task(support, query)


trained_on = [get_mechanics(name) for name in ("mass_spring", "henon_heiles", "magnetic_mirror")]


def draw(key):
    which, key = jax.random.split(key)
    makers = [
        lambda key, mechanics=mechanics: make_task(mechanics, key) for mechanics in trained_on
    ]
    return jax.lax.switch(jax.random.randint(which, (), 0, len(makers)), makers, key)


tasks = jax.tree_util.Partial(draw)


# %% [markdown]
# ## The learner
#
# `linear_head` needs the rates and a design, the matrix of the least-squares problem, with one row
# for each rate of each point. The loss is the logarithm of the relative error, because the errors
# of different types differ by orders of magnitude.

# %%
network = mlp((48, 48), 32, jax.nn.tanh)


def features(params, state):
    return network.apply(params, stacked(state))


def design(params, states):
    columns = jax.vmap(lambda state: energy_columns(lambda s: features(params, s), state))(states)
    return columns.reshape(-1, columns.shape[-1])


def wanted(support):
    return stacked(support.targets).reshape(-1, 1)


def loss(outputs, rates):
    true = stacked(rates).reshape(-1, 1)
    return jnp.log(jnp.sum((outputs - true) ** 2) / jnp.sum(true**2))


learner = linear_head(
    lambda key, task: network.init(key, stacked(task.support.inputs)),
    design,
    loss,
    targets=wanted,
    log_ridge=-14.0,
    learn_ridge=False,
)

# %%
steps = 300
algorithm = mj.gradient(learner, optax.adam(optax.cosine_decay_schedule(3e-3, steps)))
key = jax.random.key(0)
result = mj.fit(algorithm, tasks, steps=steps, tasks_per_step=12, key=key, progress=False)
first = algorithm.params(algorithm.init(key, tasks(key)))
print("loss:", *(f"{row['loss']:.1f}" for row in (result.history[0], result.history[-1])))

# %% [markdown]
# ## A pendulum, a type that was not in training
#
# Adapting is one solve.

# %%
pendulum = get_mechanics("pendulum")
adapt = jax.jit(learner.adapt)
new = [make_task(pendulum, key) for key in jax.random.split(jax.random.key(1), 20)]
jax.block_until_ready(adapt(result.params, new[0].support, key))
start = time.perf_counter()
heads = [adapt(result.params, task.support, key) for task in new]
jax.block_until_ready(heads)
print(f"adapted in {1e3 * (time.perf_counter() - start) / len(new):.2f} ms")


# %%
@jax.jit
def error(params, task):
    """Relative error of the rates at points that were not seen."""
    head = learner.adapt(params, task.support, key)
    return jnp.exp(loss(learner.predict(params, head, task.query.inputs), task.query.targets) / 2)


errors = {
    name: np.exp(np.mean([np.log(error(params, task)) for task in new]))
    for name, params in (("features as first drawn", first), ("meta-learned", result.params))
}
print({name: round(float(value), 4) for name, value in errors.items()})
assert errors["meta-learned"] < 0.5 * errors["features as first drawn"]

# %% [markdown]
# ## Predicting the motion
#
# A symplectic integrator computes the motion from the energy. The energy is known near the observed
# motion, and the predicted motion stays there, because the integrator nearly conserves the energy.

# %%
task, head = new[0], heads[0]
parameters, at = pendulum.draw(jax.random.split(jax.random.split(jax.random.key(1), 20)[0])[0])


def energy(state, solved):
    params, head = solved
    return features(params, state) @ head[:, 0]


motion = symplectic_gradient(energy)
found = trajectory(
    motion, at, (result.params.features, head), times, method="implicit_midpoint", substeps=4
).states
true = trajectory(pendulum, at, parameters, times, method="leapfrog", substeps=8).states
plt.plot(true.q[:, 0, 0], true.p[:, 0, 0], color="black", lw=3, alpha=0.3, label="true")
plt.plot(found.q[:, 0, 0], found.p[:, 0, 0], "--", label="solved on 20 points")
seen = task.support.inputs
plt.plot(seen.q[:, 0, 0], seen.p[:, 0, 0], "o", ms=4, label="the points")
plt.xlabel("angle")
plt.ylabel("momentum")
plt.legend()

# %% [markdown]
# ## Now change this
#
# - Set `SEEN` to 5: fewer points, the same solve.
# - Leave `"magnetic_mirror"` out of `trained_on`, or test on `"three_body"` instead of the
#   pendulum.
# - Compare with an energy that adapts in gradient steps: [hamiltonian](hamiltonian.ipynb).
