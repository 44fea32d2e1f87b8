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
# loop learns one weight for each image, so that the classifier does well on a few images with
# labels that can be trusted. Its gradient is a *hypergradient*: it runs through the whole inner
# optimization. scikit-learn's digits, under a minute on a CPU.

# %%
# metajax is on no package index. Where it is missing, as on Colab, install it from a clone, or from
# a wheel that `pip wheel --no-deps .` makes in a clone and that you upload next to this notebook.
import importlib.util

if importlib.util.find_spec("metajax") is None:
    raise ModuleNotFoundError(
        "metajax is missing: run `%pip install PATH` in a new cell, with the path of a clone of "
        "metajax or of a wheel made there by `pip wheel --no-deps .`, and then this cell again"
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
# 600 images whose labels are wrong in one case of two, 100 images with true labels, and the test
# split, which is used once, at the end.

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
# `descend` takes two losses and an optax optimizer. The inner loss sees the hyperparameters, here
# one logit for each image; the outer loss is what they are for.

# %%
network = mlp([], 10)  # a linear classifier


def inner_loss(weights, hparams, batch):
    images, targets = batch
    losses = optax.softmax_cross_entropy_with_integer_labels(
        network.apply(weights, images), targets
    )
    return jnp.mean(jax.nn.sigmoid(hparams) * losses)


def outer_loss(weights, hparams, batch):
    images, targets = batch
    logits = network.apply(weights, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


INNER_STEPS = 100
problem = descend(inner_loss, outer_loss, optax.sgd(1.0, momentum=0.9))
start = network.init(jax.random.key(0), train[0])
batches = full_batches(train, jax.random.key(0), INNER_STEPS)  # one batch for each inner step

# %% [markdown]
# ## Your own outer loop
#
# An `Algorithm` is three pure functions: `init`, `update`, `params`. This one moves the
# hyperparameters down the hypergradient. `fit` does the rest: compiling, the log, and with
# `workdir="..."` checkpoints and exact resume. The data stays the same from step to step, so the
# task says nothing.


# %%
class State(NamedTuple):
    hparams: jax.Array
    optimizer: optax.OptState


def outer_loop(estimator, optimizer):
    def init(key, task):
        hparams = jnp.zeros(len(train[1]))
        return State(hparams, optimizer.init(hparams))

    def update(state, tasks, key, axis_name=None):
        gradient = evaluate_hypergradient(
            estimator, problem, state.hparams, start, batches, trusted, key=key
        )
        moves, opt_state = optimizer.update(gradient, state.optimizer)
        hparams = optax.apply_updates(state.hparams, moves)
        return State(hparams, opt_state), {"loss": jnp.linalg.norm(gradient)}

    return mj.Algorithm(init, update, lambda state: state.hparams)


def nothing(key):
    return mj.Task(mj.Examples(jnp.zeros(1), jnp.zeros(1)), mj.Examples(jnp.zeros(1), jnp.zeros(1)))


found = {}
for name, estimator in {
    "exact (unrolled)": hypergradient("unrolled"),
    "last step alone (one_step)": hypergradient("one_step"),
}.items():
    found[name] = mj.fit(
        outer_loop(estimator, optax.adam(0.3)),
        jax.tree_util.Partial(nothing),
        steps=40,
        tasks_per_step=1,
        key=jax.random.key(0),
        progress=False,
    ).params

# %% [markdown]
# ## Train with the weights that were found
#
# The 100 trusted images join the others, at full weight. Three baselines know no weights: all 700
# images at full weight, the 100 trusted images alone, and, out of reach in practice, all images
# whose labels are right.


# %%
@jax.jit
def accuracy(hparams, batch):
    def step(carry, _):
        weights, opt_state = carry
        moves, opt_state = optimizer.update(
            jax.grad(inner_loss)(weights, hparams, batch), opt_state
        )
        return (optax.apply_updates(weights, moves), opt_state), None

    optimizer = optax.sgd(1.0, momentum=0.9)
    (weights, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=INNER_STEPS)
    return jnp.mean(network.apply(weights, test[0]).argmax(-1) == test[1])


everything = jax.tree.map(lambda *parts: jnp.concatenate(parts), train, trusted)


def with_trusted(logits):
    """Accuracy of training on all images, those that are trusted at full weight."""
    return accuracy(jnp.concatenate([logits, jnp.full(100, 10.0)]), everything)


scores = {
    "all 700 images": with_trusted(jnp.full(600, 10.0)),
    "the 100 trusted images": accuracy(jnp.full(100, 10.0), trusted),
    "labels that are right (an oracle)": with_trusted(jnp.where(wrong, -30.0, 10.0)),
}
scores |= {f"weights by {name}": with_trusted(hparams) for name, hparams in found.items()}
for name, score in scores.items():
    half = 1.96 * np.sqrt(score * (1 - score) / len(test[1]))
    print(f"{name:40} {100 * score:.1f} ± {100 * half:.1f} %")

# %%
assert scores["weights by exact (unrolled)"] > scores["all 700 images"] + 0.03
weights = jax.nn.sigmoid(found["exact (unrolled)"])
assert weights[wrong].mean() < 0.5 * weights[~wrong].mean()

# %% [markdown]
# ## Which images were distrusted
#
# Nothing told the outer loop which labels are wrong.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for axis, (name, hparams) in zip(axes, found.items(), strict=True):
    both = [jax.nn.sigmoid(hparams)[part] for part in (~wrong, wrong)]
    axis.hist(both, bins=20, range=(0, 1), stacked=True, label=["right label", "wrong label"])
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
# - Learn something else: hyperparameters are any pytree of floats, and the inner optimizer may
#   depend on them. [hypergradients](hypergradients.ipynb) tunes one learning rate for each layer.
