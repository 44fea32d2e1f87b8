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
# # Forget, and not forget
#
# Five tasks come one after the other: digits whose pixels are in another order each time. A network
# that is trained on them in turn forgets the first ones. A hypernetwork makes a network for each
# task from a learned embedding, and what it makes for earlier tasks is held in place (von Oswald et
# al. 2020, arXiv 1906.00695). Two minutes on a CPU.

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
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import metajax as mj
from metajax import continual
from metajax.core import count
from metajax.data import device_pool, load_images
from metajax.hypernet import generator, shared_head
from metajax.nn import mlp

# %% [markdown]
# ## The tasks
#
# A sequence holds the images of all tasks. The step of the run tells the present task, so one call
# of `fit` passes through them, and a stopped run resumes in the middle of a task.

# %%
TASKS, STEPS = 5, 400
train, test = (device_pool(load_images("digits", split)) for split in ("train", "test"))
sequence = continual.permuted(train, test, TASKS, jax.random.key(0))
tasks = continual.sequence_tasks(sequence, steps_per_task=STEPS, num=64, review=32)

# %% [markdown]
# ## Four learners
#
# All but the small networks learn with the same network of two hidden layers. `small networks` are
# the baseline of equal memory: one network for each task, so small that all five together have no
# more parameters than the hypernetwork.

# %%
network = mlp((64, 64), 10)
inputs = jnp.zeros((1, 64))
hypernet = generator(
    lambda key: network.init(key, inputs), hidden=(24, 24), head=shared_head(400, embedding=8)
)


def hypernetwork(strength):
    return continual.task_hypernetwork(hypernet, network, TASKS, strength=strength)


def size_of(width):
    return count(jax.eval_shape(mlp((width, width), 10).init, jax.random.key(0), inputs))


start = hypernetwork(0.1).init(jax.random.key(0), tasks(jax.random.key(0), 0).support)
width = continual.largest_width(size_of, count(start), TASKS)
learners = {
    "one network": continual.fine_tuning(network),
    "EWC": continual.elastic_weights(network, 30.0),
    "hypernetwork, nothing held": hypernetwork(0.0),
    "hypernetwork": hypernetwork(0.1),
    f"small networks of {width}": continual.separate_networks(mlp((width, width), 10), TASKS),
}
print(f"{count(start):,} parameters of the hypernetwork, {size_of(64):,} of one network")

# %% [markdown]
# ## One run each


# %%
@functools.partial(jax.jit, static_argnums=0)
def matrix_of(predict, after, sequence):
    return continual.accuracy_matrix(predict, after, sequence)


matrices = {}
for name, learner in learners.items():
    result = mj.fit(
        continual.in_sequence(learner, optax.adam(2e-3), TASKS),
        tasks,
        steps=TASKS * STEPS,
        tasks_per_step=2,
        key=jax.random.key(1),
        progress=False,
    )
    matrices[name] = np.asarray(matrix_of(learner.predict, result.params, sequence))
    found = continual.summarize(matrices[name])
    print(f"{name:28} after all tasks {found.final:.3f}, forgotten {found.forgetting:.3f}")
final = {name: continual.summarize(matrix) for name, matrix in matrices.items()}
assert final["hypernetwork"].forgetting < final["one network"].forgetting / 5
assert final["hypernetwork"].forgetting < final["hypernetwork, nothing held"].forgetting / 5
assert final["hypernetwork"].final > final["EWC"].final + 0.1

# %% [markdown]
# ## The picture
#
# Rows: after each task. Columns: the accuracy on each task. What is above the diagonal is still to
# come. A column that darkens downwards is a task that is being forgotten. The small networks of
# equal memory are ahead: a hypernetwork keeps tasks from being forgotten, but it does not save
# memory at this size.

# %%
figure, axes = plt.subplots(1, len(matrices), figsize=(15, 3.6), layout="constrained")
for ax, (name, matrix) in zip(axes, matrices.items(), strict=True):
    image = ax.imshow(matrix, vmin=0, vmax=1)
    ax.set(title=f"{name}\nat last {final[name].final:.2f}", xlabel="on task")
    ax.set_xticks(range(TASKS), range(1, TASKS + 1))
    ax.set_yticks(range(TASKS), range(1, TASKS + 1))
axes[0].set_ylabel("after task")
figure.colorbar(image, ax=axes, label="accuracy")
plt.show()

# %% [markdown]
# ## Now change this
#
# - Set the strength of the hypernetwork to 1 or 0.01: too much leaves it no room to learn, too
#   little lets it forget.
# - Give `shared_head` `order="in_a_row"` and `generator` `hidden=(24,)`: an LSTM makes the chunks.
# - Replace `continual.permuted` by `continual.split(train, test, 2)` or by `continual.rotated`.
# - Leave the tasks unnamed: `continual.least_entropy` lets the surest network decide.
