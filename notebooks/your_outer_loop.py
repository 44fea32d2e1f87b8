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
# # Your own outer loop and hypergradient
#
# An inner optimization trains a classifier on images, and half of their labels are wrong. The outer
# loop learns how much weight an image gets, depending on its loss. Its aim is a classifier that
# does well on a few images whose labels are right. The gradient of the outer loop is a
# *hypergradient*: it goes through the whole inner optimization. The data are scikit-learn's digits;
# under a minute on a CPU.

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
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import metajax as mj
from metajax.bilevel import descend, evaluate_hypergradient, full_batches, hypergradient
from metajax.data import load_images
from metajax.nn import mlp

# %% [markdown]
# ## Data
#
# There are 600 images, half of them with wrong labels, and 100 images with true labels. The test
# split is used once, at the end.

# %%
rng = np.random.default_rng(0)
digits, held_out = load_images("digits", "train"), load_images("digits", "test")


def inputs_of(images):
    return jnp.asarray(images.reshape(len(images), -1), jnp.float32) / 255


order = rng.permutation(len(digits.labels))[:700]
inputs, labels = inputs_of(digits.images[order]), digits.labels[order].astype(np.int32)
wrong = rng.random(600) < 1 / 2
noisy = np.where(wrong, (labels[:600] + rng.integers(1, 10, 600)) % 10, labels[:600])
train = (inputs[:600], jnp.asarray(noisy, jnp.int32))
trusted = (inputs[600:], jnp.asarray(labels[600:]))
test = (inputs_of(held_out.images), jnp.asarray(held_out.labels, jnp.int32))

# %% [markdown]
# ## The inner problem
#
# `descend` takes two losses and an optax optimizer. The inner loss depends on the hyperparameters,
# two numbers that determine how the weight of an image falls with its loss. The outer loss judges
# the trained classifier on the images with true labels.

# %%
network = mlp([], 10)  # a linear classifier


def losses_of(weights, batch):
    images, targets = batch
    logits = network.apply(weights, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets)


def trust(hparams, losses):
    """The weight of an image, 0 to 1, by its loss so far."""
    slope = jnp.exp(hparams["log_slope"])
    return jax.nn.sigmoid(hparams["offset"] - slope * jax.lax.stop_gradient(losses))


def inner_loss(weights, hparams, batch):
    losses = losses_of(weights, batch)
    return jnp.mean(trust(hparams, losses) * losses)


def outer_loss(weights, hparams, batch):
    return losses_of(weights, batch).mean()


INNER_STEPS = 100
problem = descend(inner_loss, outer_loss, optax.sgd(1.0, momentum=0.9))
start = network.init(jax.random.key(0), train[0])
batches = full_batches(train, jax.random.key(0), INNER_STEPS)  # one batch for each inner step

# %% [markdown]
# ## Your own outer loop
#
# An `Algorithm` is three pure functions: `init`, `update`, `params`. This one moves the
# hyperparameters down the hypergradient. `fit` does the rest: compiling, the log, and with
# `workdir="..."` checkpoints and exact resume. The data are the same in every step, so the task is
# empty.


# %%
class State(NamedTuple):
    hparams: jax.Array
    optimizer: optax.OptState


def outer_loop(estimator, optimizer):
    def init(key, task):
        hparams = {"offset": jnp.float32(4.0), "log_slope": jnp.float32(0.0)}
        return State(hparams, optimizer.init(hparams))

    def update(state, tasks, key, axis_name=None):
        gradient = evaluate_hypergradient(
            estimator, problem, state.hparams, start, batches, trusted, key=key
        )
        moves, opt_state = optimizer.update(gradient, state.optimizer)
        hparams = optax.apply_updates(state.hparams, moves)
        return State(hparams, opt_state), {"loss": optax.global_norm(gradient)}

    return mj.Algorithm(init, update, lambda state: state.hparams)


def nothing(key):
    return mj.Task(mj.Examples(jnp.zeros(1), jnp.zeros(1)), mj.Examples(jnp.zeros(1), jnp.zeros(1)))


found = {}
for name, estimator in {
    "exact (unrolled)": hypergradient("unrolled"),
    "last step alone (one_step)": hypergradient("one_step"),
}.items():
    found[name] = mj.fit(
        outer_loop(estimator, optax.adam(0.1)),
        jax.tree_util.Partial(nothing),
        steps=150,
        tasks_per_step=1,
        key=jax.random.key(0),
        progress=False,
    ).params

# %% [markdown]
# ## Train with what was found
#
# The 100 trusted images are added to the training data. Three baselines give every image the same
# weight. They use all 700 images, the 100 trusted images alone, and only the images whose labels
# are right, which nobody knows in practice.


# %%
def fitted(hparams, batch):
    """The classifier after the inner optimization."""
    optimizer = optax.sgd(1.0, momentum=0.9)

    def step(carry, _):
        weights, opt_state = carry
        gradient = jax.grad(inner_loss)(weights, hparams, batch)
        moves, opt_state = optimizer.update(gradient, opt_state)
        return (optax.apply_updates(weights, moves), opt_state), None

    return jax.lax.scan(step, (start, optimizer.init(start)), length=INNER_STEPS)[0][0]


def accuracy(hparams, batch):
    return jnp.mean(network.apply(fitted(hparams, batch), test[0]).argmax(-1) == test[1])


def both(first, second):
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), first, second)


everything = both(train, trusted)
blind = {"offset": jnp.float32(20.0), "log_slope": jnp.float32(-20.0)}
scores = {
    "all 700 images": accuracy(blind, everything),
    "the 100 trusted images": accuracy(blind, trusted),
    "labels that are right (an oracle)": accuracy(
        blind, both((train[0][~wrong], train[1][~wrong]), trusted)
    ),
}
scores |= {f"trust by {name}": accuracy(hparams, everything) for name, hparams in found.items()}
for name, score in scores.items():
    half = 1.96 * np.sqrt(score * (1 - score) / len(test[1]))
    print(f"{name:40} {100 * score:.1f} ± {100 * half:.1f} %")

# %% [markdown]
# With the exact hypergradient the classifier is ten points better than with all images trusted, and
# three better than with the 100 trusted images alone (one draw, 355 test images). The estimator
# that sees only the last step misses how the weights act over the whole training.

# %%
weights = {
    name: trust(hparams, losses_of(fitted(hparams, everything), train))
    for name, hparams in found.items()
}
assert scores["trust by exact (unrolled)"] > scores["all 700 images"] + 0.05
for values in weights.values():
    assert values[wrong].mean() < 0.5 * values[~wrong].mean()

# %% [markdown]
# ## Which images got little weight
#
# The outer loop was not told which labels are wrong.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for axis, (name, values) in zip(axes, weights.items(), strict=True):
    parts = [values[~wrong], values[wrong]]
    axis.hist(parts, bins=20, range=(0, 1), stacked=True, label=["right label", "wrong label"])
    axis.set(title=name, xlabel="weight of an image")
axes[0].set_ylabel("images")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Now change this
#
# - Replace `unrolled` by `drmad` or `conjugate_gradient`: [which to
#   choose](../docs/hypergradients.md).
# - Make `network` deeper: `mlp([64], 10)`.
# - Learn one weight for each image instead of two numbers: `jnp.zeros(600)` as `hparams`. With so
#   many hyperparameters the outer loop overfits the 100 images.
# - Learn something else: hyperparameters are any pytree of floats, and the inner optimizer may
#   depend on them. [hypergradients](hypergradients.ipynb) tunes one learning rate for each layer.
