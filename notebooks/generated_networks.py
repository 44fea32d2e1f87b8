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
# # Generate networks
#
# A hypernetwork makes the weights of other networks. This notebook has two: one makes a layer of
# any width, the other gives a start to networks of your own, from the graphs of their programs.
# Each is compared with what needs no hypernetwork. About a minute on a CPU core.

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
from flax import linen as nn

import metajax as mj
from metajax.core import accuracy, cross_entropy
from metajax.data import device_pool, load_images
from metajax.hypernet import (
    graph_hypernetwork,
    padded_mlp,
    predicted_start,
    random_shapes,
)
from metajax.nn import from_linen
from metajax.systems import build, configure

# %% [markdown]
# ## Every width from one program
#
# The network has three hidden layers; the middle one has w units. It is trained at w = 16, 20, 24,
# 28 and 32 on scikit-learn's digits, by two methods. `neumeta` generates both kernels of that layer
# by a function of their coordinates (Yang and Wang 2024, arXiv 2410.11878). `slimmable` has no
# hypernetwork: a width takes the first units of shared weights (Yu et al. 2019, arXiv 1812.08928).
# It takes a tenth of the time.

# %%
KEY = jax.random.key(0)
TRAINED = (16, 20, 24, 28, 32)
WIDTHS = (4, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 32)


def by_width(method, **settings):
    """Train a method, and measure it at all widths by one compiled program."""
    settings = {"train_widths": TRAINED, "steps": 1000, "eval_every": 1000, **settings}
    setup = build(configure("weights", "widths", method, **settings))
    result = mj.fit(
        setup.algorithm,
        setup.tasks,
        steps=setup.steps,
        tasks_per_step=setup.tasks_per_step,
        key=KEY,
        progress=False,
    )
    learner, test = setup.method.learner, setup.problem.test

    @jax.jit
    def measure(params, images, width):
        weights = learner.adapt(params, width, KEY)
        return accuracy(learner.predict(params, weights, images), test.labels)

    images = test.normalise(test.images)
    found = [float(measure(result.params, images, jnp.int32(width))) for width in WIDTHS]
    assert measure._cache_size() == 1  # a width is a value, not a shape
    return found


scores = {method: by_width(method) for method in ("slimmable", "neumeta")}
for method, found in scores.items():
    print(f"{method:10}", dict(zip(WIDTHS, np.round(found, 2).tolist(), strict=True)))

unseen = {
    method: np.mean([found[WIDTHS.index(w)] for w in (18, 22, 26, 30)])
    for method, found in scores.items()
}
assert min(unseen.values()) > 0.9

# %%
for method, found in scores.items():
    plt.plot(WIDTHS, found, "o-", ms=4, label=method)
for width in TRAINED:
    plt.axvline(width, color="gray", lw=0.4)
plt.ylim(0, 1)
plt.xlabel("width, units (gray lines: trained)")
plt.ylabel("accuracy on test images")
plt.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# Both work at widths between the trained ones, and neither does far below them. They are level
# wherever both work, within .01: here the hypernetwork is not worth its time.

# %% [markdown]
# ## A start for networks that it has not seen
#
# A graph hypernetwork reads a network's program as a graph, and predicts a start for its weights
# (LoGAH, Zhou et al. 2024, arXiv 2405.16287). It is trained by the loss of networks with predicted
# weights. These are multi-layer perceptrons of one or two hidden layers, all in one padded program,
# and three convolutional networks in Flax, each a program of its own.

# %%
train_pool, test_pool = (device_pool(load_images("digits", split)) for split in ("train", "test"))
images, labels = train_pool.normalise(train_pool.images), train_pool.labels
test_images, test_labels = train_pool.normalise(test_pool.images), test_pool.labels


class ConvNet(nn.Module):
    """Convolutions, each half as high and wide as the one before, and a mean over what is left."""

    channels: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        x = x.reshape(-1, 8, 8, 1)
        for number in self.channels:
            x = nn.relu(nn.Conv(number, (3, 3), strides=2)(x))
        return nn.Dense(10)(x.mean((1, 2)))


target = padded_mlp(inputs=64, outputs=10, layers=2, width=64)
shapes = random_shapes(64, layers=(1, 2), widths=(16, 64), seed=0)
perceptrons = target.architectures(shapes)
convolutional = [from_linen(ConvNet(channels)) for channels in ((8, 16), (16, 16), (12, 16, 20))]
likes = [network.init(KEY, images[:1]) for network in convolutional]

hypernetwork = graph_hypernetwork(largest=180, rank=32)


def loss(params, key):
    """The mean loss of four perceptrons and three convolutional networks, with images of each."""
    places = jax.random.randint(key, (4,), 0, len(shapes))
    rows = jax.random.randint(key, (7, 64), 0, len(labels))

    def of(logits, rows):
        return cross_entropy(logits, labels[rows])

    def perceptron(network, rows):
        masks = target.masks(network)
        weights = hypernetwork.start(params, network.graph, network.nodes, target.like, masks)
        return of(target.apply(weights, network, images[rows]), rows)

    found = [jax.vmap(perceptron)(jax.tree.map(lambda leaf: leaf[places], perceptrons), rows[:4])]
    for network, like, each in zip(convolutional, likes, rows[4:], strict=True):
        # read with one image, as everywhere here: the size of a batch is a feature of the graph
        weights = predicted_start(hypernetwork, params, network.apply, like, images[:1])
        found.append(of(network.apply(weights, images[each]), each)[None])
    return jnp.mean(jnp.concatenate(found))


STEPS = 600
rule = optax.chain(
    optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-3, STEPS))
)


@jax.jit
def train(key):
    params = hypernetwork.init(key, jax.tree.map(lambda leaf: leaf[0], perceptrons.graph))

    def step(state, key):
        value, slopes = jax.value_and_grad(loss)(state[0], key)
        moves, rule_state = rule.update(slopes, state[1])
        return (optax.apply_updates(state[0], moves), rule_state), value

    (params, _), losses = jax.lax.scan(
        step, (params, rule.init(params)), jax.random.split(key, STEPS)
    )
    return params, losses


@jax.jit
def scores_of_convolutions(params):
    weights = [
        predicted_start(hypernetwork, params, network.apply, like, images[:1])
        for network, like in zip(convolutional, likes, strict=True)
    ]
    return [
        accuracy(network.apply(each, test_images), test_labels)
        for network, each in zip(convolutional, weights, strict=True)
    ]


params, losses = train(KEY)
print("mean losses of 100 steps:", np.asarray(losses.reshape(-1, 100).mean(1)).round(2).tolist())
fitted = np.round(scores_of_convolutions(params), 2)
print("accuracy of the three convolutional networks, as predicted:", fitted.tolist())

# %% [markdown]
# Now networks of your own. `predicted_start` takes any function `apply(params, inputs)` that JAX
# can trace, parameters and an input. It returns parameters of the same tree, shapes and dtypes.
# None of these networks is trained on: a perceptron with a third hidden layer, convolutions with
# other channels, and a residual network in plain JAX, a kind that no trained network is of.


# %%
class Deeper(nn.Module):
    @nn.compact
    def __call__(self, x):
        for units in (48, 40, 24):
            x = nn.relu(nn.Dense(units)(x))
        return nn.Dense(10)(x)


def residual(params, x):
    """Two residual layers between the first and the last one."""
    x = x @ params["first"]
    for layer in params["layers"]:
        x = x + jnp.tanh(x @ layer["kernel"] + layer["bias"])
    return x @ params["last"]


def residual_start(key, _):
    first, *keys, last = jax.random.split(key, 4)

    def normal(key, rows, columns):
        return jax.random.normal(key, (rows, columns)) / jnp.sqrt(rows)

    layers = [{"kernel": normal(key, 32, 32), "bias": jnp.zeros(32)} for key in keys]
    return {"first": normal(first, 64, 32), "layers": layers, "last": normal(last, 32, 10)}


yours = {
    "three hidden layers": from_linen(Deeper()),
    "other convolutions": from_linen(ConvNet((12, 20))),
    "residual, plain JAX": mj.Network(residual_start, residual),
}
EVERY, PARTS = 10, 20


def descend(network, weights, key):
    """Train by Adam 1e-3 from a start; the accuracy on test images every few steps."""
    adam = optax.adam(1e-3)

    def measure(weights):
        return accuracy(network.apply(weights, test_images), test_labels)

    def step(state, key):
        rows = jax.random.randint(key, (64,), 0, len(labels))

        def loss(weights):
            return cross_entropy(network.apply(weights, images[rows]), labels[rows])

        moves, adam_state = adam.update(jax.grad(loss)(state[0]), state[1])
        return (optax.apply_updates(state[0], moves), adam_state), None

    def part(state, keys):
        state, _ = jax.lax.scan(step, state, keys)
        return state, measure(state[0])

    keys = jax.random.split(key, (PARTS, EVERY))
    _, found = jax.lax.scan(part, (weights, adam.init(weights)), keys)
    return jnp.concatenate([measure(weights)[None], found])


def compare(network):
    """From the network's own random start and from the predicted one, five draws of each."""

    @jax.jit
    def run(params, keys):
        own = jax.vmap(lambda key: network.init(key, images[:1]))(keys)
        start = jax.vmap(
            lambda own: predicted_start(hypernetwork, params, network.apply, own, images[:1])
        )(own)
        starts = jax.tree.map(lambda *both: jnp.concatenate(both), own, start)
        keys = jnp.concatenate([keys, keys])  # the same images for both
        return jax.vmap(lambda start, key: descend(network, start, key))(starts, keys)

    found = np.asarray(run(params, jax.random.split(jax.random.key(1), 5)), float)
    return {"its own random start": found[:5], "predicted start": found[5:]}


curves = {name: compare(network) for name, network in yours.items()}
for name, both in curves.items():
    for kind, found in both.items():
        print(f"{name:20} {kind:22}", np.round(found.mean(0)[::4], 2))

first = {
    name: {kind: found[:, 0].mean() for kind, found in both.items()}
    for name, both in curves.items()
}
for name in ("three hidden layers", "residual, plain JAX"):
    assert first[name]["predicted start"] > first[name]["its own random start"] + 0.3

# %%
figure, panels = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
for axes, (name, both) in zip(panels, curves.items(), strict=True):
    for kind, found in both.items():
        steps = EVERY * np.arange(PARTS + 1)
        (line,) = axes.plot(steps, found.mean(0), label=kind)
        axes.fill_between(steps, found.min(0), found.max(0), color=line.get_color(), alpha=0.15)
    axes.set(title=name, xlabel="steps of Adam", ylim=(0, 1))
panels[0].set_ylabel("accuracy on test images")
panels[0].legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# A third hidden layer was never trained, and neither was a residual network: both classify as they
# are predicted, and stay ahead for a hundred steps. Convolutions show the limit. The three that
# were trained on classify as predicted. For another one, with channels of its own, the prediction
# is no better than its random start: three of a kind are too few to learn what their sizes mean.
# How this compares with a table of shared weights is in
# `experiments/weights`.

# %% [markdown]
# ## Now change this
#
# - Train on more convolutional networks, with channels of every size, and see when the middle panel
#   changes. Each is a program of its own, so compiling takes longer.
# - Predict a start for a module of your own: `from_linen`, `from_nnx` and `from_equinox` make it a
#   function, and any function of parameters and inputs will do. Where a tensor is too large for the
#   decoder, the error names it: make `largest` larger.
# - Read [what each generator of weights is for](../docs/hypernet.md).
# - The same on the command line: `metajax compare weights --preset architectures --seeds 3`.
