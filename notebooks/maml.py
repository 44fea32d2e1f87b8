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
# # MAML: a start from which a few gradient steps suffice
#
# The first part is the standard regression benchmark: fit a sinusoid from ten points. It compares
# weights that MAML has meta-trained with weights trained on all sinusoids at once, and with random
# initial weights (*as first drawn*). The second part is classification from one example of each of
# five classes, by MAML and by Prototypical Networks. About two minutes on a CPU.

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
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import metajax as mj
from metajax import data, learners
from metajax.nn import conv_net, mlp

# %% [markdown]
# ## Sinusoids
#
# A task is one sine of amplitude .1 to 5 and phase 0 to pi. It has ten points to learn from (the
# support) and others to be scored on (the query). `maml` makes a learner from any network, loss
# and optax optimizer. `gradient` makes the algorithm that meta-trains it, and `fit` is the loop.

# %%
tasks = data.sinusoid_tasks(10, 10)
network = mlp([40, 40], 1)
maml = learners.maml(network, learners.mean_squared_error, optax.sgd(0.01), steps=5)
trained = mj.fit(
    mj.gradient(maml, optax.adam(1e-3)),
    tasks,
    steps=3000,
    tasks_per_step=25,
    key=jax.random.key(0),
)

# %% [markdown]
# The baseline is the same network on the same tasks, trained to answer without looking at the
# support. Sines of all phases average out, so its best answer is nearly zero everywhere.


# %%
def joint_loss(params, task, key):
    outputs = network.apply(params, task.query.inputs)
    return learners.mean_squared_error(outputs, task.query.targets), {}


joint = mj.fit(
    mj.gradient(maml._replace(loss=joint_loss), optax.adam(1e-3)),
    tasks,
    steps=3000,
    tasks_per_step=25,
    key=jax.random.key(0),
)

# %% [markdown]
# ## Error by gradient step, on 1000 new sines
#
# `adaptation_curve` scores one task after every step, and takes more steps than training did.
# `vmap` maps it over a thousand tasks.

# %%
new = data.sinusoid_tasks(10, 100)
first_drawn = maml.init(jax.random.key(0), new(jax.random.key(1)))


@jax.jit
def curves(params):
    def one(key):
        draw, adapt = jax.random.split(key)
        return learners.adaptation_curve(
            maml, learners.mean_squared_error, params, new(draw), adapt, steps=10
        )["query_loss"]

    return jax.vmap(one)(jax.random.split(jax.random.key(2), 1000))


starts = {"MAML": trained.params, "trained jointly": joint.params, "as first drawn": first_drawn}
errors = {name: np.asarray(curves(params)) for name, params in starts.items()}
for name, error in errors.items():
    mean, half = error.mean(0), 1.96 * error.std(0, ddof=1) / np.sqrt(len(error))
    plt.errorbar(range(11), mean, half, label=name)
    print(f"{name:16} " + "  ".join(f"{n}: {mean[n]:.2f} ±{half[n]:.2f}" for n in (0, 1, 5, 10)))
plt.yscale("log")
plt.xlabel("gradient steps")
plt.ylabel("squared error on the query")
plt.legend()
# %% [markdown]
# This is one of the sines, before and after ten steps. `adapt` takes as many steps as in training.
# `follow` takes any number of steps, and returns the values of a function of the adapted weights
# after each step.

# %%
task = new(jax.random.key(7))
grid = jnp.linspace(-5, 5, 200)[:, None]


def by_step(start):
    def outputs(adapted):
        return maml.predict(start, adapted, grid)

    return maml.follow(start, task.support, jax.random.key(0), 10, outputs)[1]


lines = {name: by_step(starts[name]) for name in ("MAML", "trained jointly")}
for name, line in lines.items():
    plt.plot(grid, line[10], label=f"{name}, 10 steps")
plt.plot(grid, lines["MAML"][0], "--", label="MAML, 0 steps")
plt.plot(task.support.inputs, task.support.targets, "ko", label="the support")
plt.legend()
# %% [markdown]
# ## Characters from one example each
#
# The data are Omniglot's characters if you have prepared them: `metajax data prepare omniglot`
# downloads them by TFDS, and `metajax data prepare omniglot_small --from FOLDER` takes the two
# small sets from a folder. Otherwise the notebook uses scikit-learn's digits, which every
# installation has. Training and test have different classes. Each class turned by 90, 180 and 270
# degrees is a class of its own.

# %%
NUM_CLASSES = {"omniglot": (800, 64, 100), "omniglot_small": (150, 30, 62), "digits": (5, 2, 3)}
NAME = next((name for name in NUM_CLASSES if data.prepared(name)), "digits")
images = data.load_images(NAME, "train+test" if NAME == "digits" else "train", size=(14, 14))
parts = data.episode_parts(images, NUM_CLASSES[NAME], rotations=True, ways=5, shots=1, queries=5)
print(f"images of {NAME}")

episode = parts.test(jax.random.key(3))
for i in range(5):
    plt.subplot(1, 5, i + 1)
    plt.imshow(episode.support.inputs[i, ..., 0], cmap="gray")
    plt.title(f"class {int(episode.support.targets[i])}")
    plt.axis("off")

# %% [markdown]
# MAML adapts a classifier by gradient steps. Prototypical Networks average the embeddings of
# each class, and assign a query to the nearest average. Only the learners differ; the tasks, the
# loop and the evaluation are the same. (`tasks_at_once=1` computes one task after another. On a CPU
# this is faster for convolutions whose weights differ from task to task.)

# %%
rivals = {
    "MAML": learners.maml(
        conv_net(5, channels=16, layers=3), learners.cross_entropy, optax.sgd(0.1), steps=3
    ),
    "Prototypical Networks": learners.prototypical(conv_net(None, channels=16, layers=3), ways=5),
}
found = {}
for name, learner in rivals.items():
    tasks_at_once = 1 if name == "MAML" and jax.default_backend() == "cpu" else None
    found[name] = mj.fit(
        mj.gradient(learner, optax.adam(1e-3), tasks_at_once=tasks_at_once),
        parts.train,
        steps=200,
        tasks_per_step=8,
        key=jax.random.key(0),
    ).params

# %% [markdown]
# The table shows the accuracy on 600 episodes (tasks) of classes that were not in training. The
# baselines are the same learners with weights as first drawn, and the class whose image is nearest,
# pixel by pixel.

# %%
pixels = mj.Network(lambda key, x: {"none": jnp.zeros(())}, lambda params, x: x.reshape(len(x), -1))
nearest = learners.prototypical(pixels, ways=5)


def accuracy(learner, params):
    @jax.jit
    def one(params, tasks, key):
        draw, adapt = jax.random.split(key)
        return learner.loss(params, tasks(draw), adapt)[1]["accuracy"]

    return np.array(
        [one(params, parts.test, key) for key in jax.random.split(jax.random.key(4), 600)]
    )


rows = {"nearest image": accuracy(nearest, nearest.init(jax.random.key(0), episode))}
for name, learner in rivals.items():
    rows[f"{name}, as first drawn"] = accuracy(learner, learner.init(jax.random.key(0), episode))
    rows[name] = accuracy(learner, found[name])
for name, scores in rows.items():
    half = 1.96 * scores.std(ddof=1) / np.sqrt(len(scores))
    print(f"{name:38} {100 * scores.mean():5.1f} ±{100 * half:.1f} %")

# %%
places = np.arange(len(rows))
halves = [1.96 * scores.std(ddof=1) / np.sqrt(len(scores)) for scores in rows.values()]
plt.barh(places, [scores.mean() for scores in rows.values()], xerr=halves)
plt.yticks(places, list(rows))
plt.axvline(1 / 5, color="grey", linestyle=":")
plt.xlabel("accuracy (chance is dotted)")
plt.show()

# %% [markdown]
# On Omniglot's characters both learners are far better than the nearest image. The digits have too
# few classes for meta-training, twenty with their rotations, and the nearest image is better.

# %%
# what the text says, held by the tests of the project
assert errors["MAML"][:, 10].mean() < 0.4 * errors["trained jointly"][:, 10].mean()
for name in rivals:
    assert rows[name].mean() > 0.4
    assert NAME == "digits" or rows[name].mean() > rows["nearest image"].mean() + 0.1

# %% [markdown]
# ## Now change this
#
# - Prepare Omniglot (above) and run the second half again.
# - Replace `learners.maml` by `learners.meta_sgd` or `learners.anil`; their arguments are the same.
# - Compare all methods on the same tasks: `metajax compare fewshot --preset sinusoid`.
