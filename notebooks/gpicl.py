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
# # GPICL: learning to learn, or learning by heart
#
# A Transformer reads labeled examples and predicts the next label. It can solve its training tasks
# in two ways: remember them, or learn how to learn. Kirsch et al. (2022, arXiv 2212.04458) found
# that the number of training tasks decides which. This notebook shows both, on scikit-learn's
# digits, in about two minutes on a CPU.

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
from metajax.data import device_pool, load_images
from metajax.learners import in_context, nearest_neighbour
from metajax.nn import causal_transformer
from metajax.systems.gpicl import (
    accuracy_by_position,
    projection_tasks,
    unseen,
)

# %% [markdown]
# ## Tasks
#
# A task has an id, which determines a random projection of the images and an order of the labels.
# Each task here has two classes, so that the notebook is quick. The presets of
# `metajax train gpicl` have more.

# %%
ways, length = 2, 16
train_pool = device_pool(load_images("digits", "train"), size=(4, 4))
test_pool = device_pool(load_images("digits", "test"), size=(4, 4))


def tasks_of(num_tasks):
    return projection_tasks(
        train_pool, jax.random.key(0), num_tasks=num_tasks, length=length, ways=ways
    )


# %%
network = causal_transformer(
    num_outputs=ways, width=64, layers=2, heads=4, key_size=16, max_length=length
)
learner = in_context(network, ways, label_scale=4.0)
algorithm = mj.gradient(learner.meta, optax.adam(1e-3))

runs = {}
for num_tasks in (4, 2**20):
    runs[num_tasks] = mj.fit(
        algorithm,
        tasks_of(num_tasks),
        steps=1500,
        tasks_per_step=32,
        key=jax.random.key(1),
        log_every=50,
    )

# %% [markdown]
# ## Adapting by hand
#
# `adapt` reads the support into the key-value cache; `predict` decodes each query from it.

# %%
task = unseen(tasks_of(2**20))(jax.random.key(5))
adapted = learner.meta.adapt(runs[2**20].params, task.support, jax.random.key(6))
logits = learner.meta.predict(runs[2**20].params, adapted, task.query.inputs)
print("probabilities", jax.nn.softmax(logits).round(3), "label", task.query.targets)
print("cache position", jnp.asarray(adapted.state.position))

# %% [markdown]
# ## Training tasks and new tasks, on images of the test split

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), sharey=True, layout="constrained")
gains = {}
for axis, (num_tasks, run) in zip(axes, runs.items(), strict=True):
    seen = dataclasses.replace(tasks_of(num_tasks), pool=test_pool)
    rows = {
        "seen tasks": (learner, run.params, seen),
        "unseen tasks": (learner, run.params, unseen(seen)),
        "1-nearest-neighbour": (nearest_neighbour(ways), {}, unseen(seen)),
    }
    for name, (who, params, tasks) in rows.items():
        score = accuracy_by_position(who, params, tasks, jax.random.key(2), 512)
        gains[num_tasks, name] = score["gain"]
        axis.errorbar(np.arange(length), score["accuracy"], score["ci95"], label=name, capsize=2)
    axis.axhline(1 / ways, color="grey", linestyle=":")
    axis.set(title=f"{num_tasks:,} training tasks", xlabel="examples seen")
axes[0].set_ylabel("accuracy")
axes[0].legend(frameon=False)
plt.show()
gains

# %% [markdown]
# Trained on a million tasks, the network learns unseen tasks from their examples as well as
# training tasks. Trained on four tasks, it remembers these tasks, and does not learn from examples.

# %%
assert gains[2**20, "unseen tasks"] > 0.1
assert gains[4, "unseen tasks"] < gains[2**20, "unseen tasks"]

# %% [markdown]
# ## Now change this
#
# - Put 64 or 1,024 in place of 4 in `for num_tasks in (4, 2**20)`. How many training tasks does the
#   network need to learn unseen tasks?
# - Replace `load_images("digits", ...)` by a set of your own ([how](../docs/data.md)).
# - Run `metajax train gpicl --preset digits`. It trains a learner with the symmetries of these
#   tasks built in, which learns more in less time.
