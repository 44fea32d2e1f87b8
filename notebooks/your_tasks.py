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
# # Your own tasks
#
# A task distribution is a function of a random key that returns a task. This notebook writes two:
# one draws tasks from a formula, the other from arrays that you have. It then writes a learner, a
# ridge regression with meta-learned features, and trains it on the first. Under a minute on a CPU.

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
import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import metajax as mj
from metajax.nn import damped_least_squares, mlp

# %% [markdown]
# ## Tasks from a formula
#
# A task distribution is any pytree that can be called with a key. Its numbers are leaves, so you
# can change them without compiling again. `fit` draws the tasks inside the compiled step. A learner
# adapts to the support of a task and is scored on its query.


# %%
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sinusoids:
    """y = a sin(x + p) with amplitude a in [low, high] and phase p in [0, pi]."""

    low: jax.Array
    high: jax.Array

    def __call__(self, key):
        amplitude_key, phase_key, x_key = jax.random.split(key, 3)
        amplitude = jax.random.uniform(amplitude_key, (), minval=self.low, maxval=self.high)
        phase = jax.random.uniform(phase_key, (), maxval=jnp.pi)
        x = jax.random.uniform(x_key, (20, 1), minval=-5.0, maxval=5.0)
        y = amplitude * jnp.sin(x + phase)
        return mj.Task(mj.Examples(x[:10], y[:10]), mj.Examples(x[10:], y[10:]))


tasks = Sinusoids(jnp.float32(0.1), jnp.float32(5.0))
jax.tree.map(jnp.shape, tasks(jax.random.key(0)))

# %% [markdown]
# ## Tasks from your arrays
#
# As an example, there are 50 machines with 30 measurements each. One machine is one task: ten of
# its measurements, drawn at random, are the support, and ten others are the query. The arrays are
# leaves too, so they are on the device and are not compiled into the program.


# %%
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Machines:
    """A machine at random, its measurements in random order."""

    inputs: jax.Array  # [machines, measurements, features]
    targets: jax.Array  # [machines, measurements, outputs]

    def __call__(self, key):
        machine_key, order_key = jax.random.split(key)
        machine = jax.random.randint(machine_key, (), 0, self.inputs.shape[0])
        order = jax.random.permutation(order_key, self.inputs.shape[1])
        x, y = self.inputs[machine][order], self.targets[machine][order]
        return mj.Task(mj.Examples(x[:10], y[:10]), mj.Examples(x[10:20], y[10:20]))


rng = np.random.default_rng(0)
measured = rng.uniform(-5, 5, (50, 30, 1)).astype(np.float32)
height, phase = rng.uniform(0.1, 5.0, (50, 1, 1)), rng.uniform(0, np.pi, (50, 1, 1))
answers = (height * np.sin(measured + phase)).astype(np.float32)
machines = Machines(jnp.asarray(measured[:40]), jnp.asarray(answers[:40]))
held_out = Machines(jnp.asarray(measured[40:]), jnp.asarray(answers[40:]))  # other machines

# %% [markdown]
# ## A learner
#
# A learner is four pure functions, each for one task. `adapt` solves a ridge regression on the
# features of the support. The loss is the squared error on the query, so its gradient goes through
# that solve.

# %%
features = mlp([64, 64], 32)


def init(key, task):
    return {"features": features.init(key, task.support.inputs), "log_ridge": jnp.zeros(())}


def adapt(params, support, key):
    h = features.apply(params["features"], support.inputs)
    return damped_least_squares(h, support.targets, jnp.exp(params["log_ridge"]))


def predict(params, adapted, inputs):
    return features.apply(params["features"], inputs) @ adapted


def loss(params, task, key):
    predicted = predict(params, adapt(params, task.support, key), task.query.inputs)
    return jnp.mean((predicted - task.query.targets) ** 2), {}


learner = mj.MetaLearner(init, adapt, predict, loss)

# %% [markdown]
# ## Meta-training
#
# `workdir="..."` would add checkpoints, a log and exact resume; `parallel="jit"` would split the
# tasks over all devices. Nothing else changes.


# %%
def train(tasks):
    return mj.fit(
        mj.gradient(learner, optax.adam(1e-3)),
        tasks,
        steps=1500,
        tasks_per_step=16,
        key=jax.random.key(1),
        log_every=50,
        progress=False,
    )


result, from_arrays = train(tasks), train(machines)


@jax.jit
def errors_on_machines(params):
    keys = jax.random.split(jax.random.key(2), 500)
    return jax.vmap(lambda key: learner.loss(params, held_out(key), key)[0])(keys)


first, last = result.history[0]["loss"], result.history[-1]["loss"]
print(f"query error, formula: {first:.3f} -> {last:.4f}")
for name, found in {"the formula": result, "40 machines": from_arrays}.items():
    print(f"on 10 other machines, trained on {name}:", errors_on_machines(found.params).mean())
assert last < 0.2 * first

# %% [markdown]
# ## Adapting to a new task

# %%
task = tasks(jax.random.key(2))
adapted = learner.adapt(result.params, task.support, jax.random.key(3))
x = jnp.linspace(-5, 5, 200).reshape(-1, 1)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
left.plot([row["step"] for row in result.history], [row["loss"] for row in result.history])
left.set(xlabel="meta-step", ylabel="query error", yscale="log")
right.plot(x, learner.predict(result.params, adapted, x), label="after 10 examples")
right.plot(task.support.inputs, task.support.targets, "ko", label="support")
right.plot(task.query.inputs, task.query.targets, "rx", label="query")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Now change this
#
# - Replace the line `y = amplitude * jnp.sin(x + phase)` by a formula of your own.
# - Give `Machines` arrays of your own, with any number of features and outputs. Do not train on the
#   machines that you test on.
# - Tasks that get harder during training are [`Staged`](../docs/nouns.md); tasks that are read from
#   disk are [host-fed](../docs/data.md).
# - [Bring your own network](your_network.ipynb).
