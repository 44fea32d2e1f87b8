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
# # Bring your own network
#
# A network is two pure functions, `init(key, inputs)` and `apply(params, inputs)`. Every learner of
# metajax takes one. This notebook gives the same learner (MAML) three networks: a Flax NNX module,
# a Flax Linen module, and two functions written by hand. `from_equinox` does the same for Equinox
# modules. Under a minute on a CPU.

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
import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx

import metajax as mj
from metajax.data import sinusoid_tasks
from metajax.learners import maml, mean_squared_error
from metajax.nn import from_linen, from_nnx

# %% [markdown]
# ## A Flax NNX module
#
# `from_nnx` takes the class and its arguments, without the `rngs`: the learner draws new parameters
# when it needs them.


# %%
class Perceptron(nnx.Module):
    def __init__(self, width, *, rngs):
        self.first = nnx.Linear(1, width, rngs=rngs)
        self.second = nnx.Linear(width, width, rngs=rngs)
        self.head = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.second(jnp.tanh(self.first(x)))))


by_nnx = from_nnx(Perceptron, 40)

# %% [markdown]
# ## A Flax Linen module
#
# `from_linen` takes the module. This one passes its input on to every layer.


# %%
class Shortcuts(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        hidden = x
        for _ in range(2):
            hidden = nn.tanh(nn.Dense(self.width)(jnp.concatenate([hidden, x], axis=-1)))
        return nn.Dense(1)(hidden)


by_linen = from_linen(Shortcuts(40))

# %% [markdown]
# ## Two functions
#
# Parameters may be any pytree of arrays. The output of this network is a sum of 20 waves, and its
# parameters are their frequencies, phases and heights.


# %%
def init(key, inputs):
    frequency_key, phase_key = jax.random.split(key)
    return {
        "frequencies": jax.random.normal(frequency_key, (inputs.shape[-1], 20)),
        "phases": jax.random.uniform(phase_key, (20,), maxval=2 * jnp.pi),
        "heights": jnp.zeros((20, 1)),
    }


def apply(params, inputs):
    waves = jnp.sin(inputs @ params["frequencies"] + params["phases"][None])
    return waves @ params["heights"]


by_hand = mj.Network(init, apply)

# %% [markdown]
# ## One learner, three networks
#
# A task is one sine wave with its own height and phase. It has ten points to learn from and ten to
# be scored on. MAML learns parameters from which five gradient steps lead to any of these waves.

# %%
tasks = sinusoid_tasks(10, 10)
networks = {"Flax NNX": by_nnx, "Flax Linen": by_linen, "by hand": by_hand}
trained = {}
for name, network in networks.items():
    learner = maml(network, mean_squared_error, optax.sgd(0.01), steps=5)
    result = mj.fit(
        mj.gradient(learner, optax.adam(3e-3)),
        tasks,
        steps=1500,
        tasks_per_step=25,
        key=jax.random.key(0),
        progress=False,
    )
    trained[name] = learner, result.params

# %% [markdown]
# ## Scores on 500 new waves
#
# The table shows the mean squared error on the query, with its 95% interval. The baseline in the
# last row answers 0 for every wave.

# %%
keys = jax.random.split(jax.random.key(1), 500)


def errors_of(learner, params):
    def one(key):
        draw, adapt = jax.random.split(key)
        return learner.loss(params, tasks(draw), adapt)[0]

    return np.asarray(jax.jit(jax.vmap(one))(keys))


errors = {name: errors_of(*found) for name, found in trained.items()}
errors["answer 0"] = np.asarray(
    jax.vmap(lambda key: jnp.mean(tasks(jax.random.split(key)[0]).query.targets ** 2))(keys)
)
for name, error in errors.items():
    half = 1.96 * error.std(ddof=1) / np.sqrt(len(error))
    print(f"{name:12} {error.mean():.3f} ± {half:.3f}")

# %%
for name in networks:
    assert errors[name].mean() < 0.5 * errors["answer 0"].mean()

# %% [markdown]
# ## One new wave

# %%
task = tasks(jax.random.key(4))
x = jnp.linspace(-5, 5, 200)[:, None]
for name, (learner, params) in trained.items():
    adapted = learner.adapt(params, task.support, jax.random.key(0))
    plt.plot(x, learner.predict(params, adapted, x), label=name)
plt.plot(task.support.inputs, task.support.targets, "ko", label="the ten points")
plt.plot(task.query.inputs, task.query.targets, "kx", label="points to be scored on")
plt.xlabel("x")
plt.ylabel("y")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Now change this
#
# - Replace `Perceptron` by a module of your own. It may have no state other than its parameters: no
#   running statistics, no dropout.
# - Replace `maml` by another learner of [metajax.learners](../docs/reference/learners.md), such as
#   `ridge` (its network returns features) or `meta_sgd`.
# - Draw [tasks of your own](your_tasks.ipynb).
