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
# # Grow a trained network
#
# A trained network can be made wider and deeper without losing its function (Net2Net, Chen et al.
# 2016, arXiv 1511.05641). This notebook does so, and then asks when it pays: on these images it
# does not. Under a minute on a CPU.

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

from metajax import units
from metajax.core import ConfigError, accuracy, cross_entropy, enable_x64
from metajax.data import device_pool, load_images
from metajax.nn import mlp

# %% [markdown]
# ## A small trained network
#
# Images are scikit-learn's digits. The network has one hidden layer of 16 units. Everything here is
# done for five seeds at a time, by `jax.vmap`.

# %%
train_pool, test_pool = (device_pool(load_images("digits", split)) for split in ("train", "test"))
images, labels = train_pool.normalise(train_pool.images), train_pool.labels
test_images, test_labels = train_pool.normalise(test_pool.images), test_pool.labels

SEEDS = jax.random.split(jax.random.key(0), 5)
SMALL, LARGE = [16], [128, 128]
small, large = mlp(SMALL, 10), mlp(LARGE, 10)
adam = optax.adam(1e-3)


def train(network, params, state, key, updates, every):
    """Descend the cross-entropy; measure the accuracy on test images every few updates."""

    def update(carry, key):
        params, state = carry
        rows = jax.random.randint(key, (64,), 0, len(labels))

        def loss(params):
            return cross_entropy(network.apply(params, images[rows]), labels[rows])

        moves, state = adam.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, moves), state), None

    def part(carry, keys):
        carry, _ = jax.lax.scan(update, carry, keys)
        return carry, accuracy(network.apply(carry[0], test_images), test_labels)

    keys = jax.random.split(key, (updates // every, every))
    (params, state), measured = jax.lax.scan(part, (params, state), keys)
    return params, state, measured


def from_scratch(network, updates, every):
    def one(key):
        params = network.init(key, images)
        return train(network, params, adam.init(params), key, updates, every)

    return jax.jit(jax.vmap(one))(SEEDS)


EVERY = 27  # an update of the large network costs as much as 27 of the small one
small_params, small_state, small_curve = from_scratch(small, 120 * EVERY, EVERY)
print("accuracy of the small networks:", np.round(small_curve[:, -1], 3))

# %% [markdown]
# ## Grow it
#
# `grow_mlp` makes moves one after the other: here a second hidden layer, then 128 units in each. A
# new layer is the identity, which ReLU leaves as it is. New units are copies, and the weights that
# read a unit are split between its copies. The state of Adam grows along. The larger network
# computes the same, up to rounding: in float64 nothing but the last digits moves.

# %%
moves = [units.Deepen(0), units.Widen(tuple(LARGE))]


def grow(params, state, key, split="random"):
    return units.grow_mlp(params, state, moves, key, split)


params, state, key = jax.tree.map(lambda leaf: leaf[0], (small_params, small_state, SEEDS))
for wide in (False, True):
    with enable_x64(wide):
        first = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), params)
        before = small.apply(first, jnp.asarray(test_images, float))
        grown, _ = grow(first, adam.init(first), key)
        after = large.apply(grown, jnp.asarray(test_images, float))
        apart = float(jnp.max(jnp.abs(after - before)))
    print(
        f"{before.dtype}: logits up to {float(jnp.max(jnp.abs(before))):.0f}, moved by {apart:.0e}"
    )
    assert apart < (1e-12 if wide else 1e-4)

# %% [markdown]
# Where the algebra does not allow it, nothing is approximated. An error says why:

# %%
try:
    units.deepen(params, units.mlp_units(params), "Dense_0", jax.nn.tanh)
except ConfigError as error:
    print(error)

# %% [markdown]
# ## Copies that stay copies
#
# Net2Net splits weights equally. Then copies of a unit have equal gradients, and stay equal for
# ever: the wide layer has the freedom of the narrow one. With a random split they part. The rank of
# a layer's outputs shows it.


# %%
@jax.jit
def grown_of(key, params, state):
    return {split: grow(params, state, key, split) for split in ("equal", "random")}


def rank(params):
    hidden = jax.nn.relu(test_images @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"])
    return np.linalg.matrix_rank(np.asarray(hidden, float), rtol=1e-5)


@jax.jit
def carry_on(key, params, state):
    key = jax.random.fold_in(key, 1)
    return train(large, params, state, key, 360, 10)


starts = jax.vmap(grown_of)(SEEDS, small_params, small_state)
later = {split: jax.vmap(carry_on)(SEEDS, *start) for split, start in starts.items()}
ranks = {}
for split in starts:
    ends = [starts[split][0], later[split][0]]
    ranks[split] = [rank(jax.tree.map(lambda leaf: leaf[0], end)) for end in ends]
    print(f"{split} split: rank of 128 units {ranks[split][0]} when grown, {ranks[split][1]} later")
assert ranks["equal"][1] <= 16 < ranks["random"][1]

# %% [markdown]
# ## When growing does not pay
#
# Two rivals have as much compute: the large network from scratch, and the small one that just stays
# small. Compute is counted in updates of the large network.

# %%
scratch_curve = from_scratch(large, 480, 10)[2]
long_curve = from_scratch(small, 480 * EVERY, 10 * EVERY)[2]
curves = {
    "grown at 120, random split": (120 + 10 * np.arange(1, 37), later["random"][2]),
    "grown at 120, equal split": (120 + 10 * np.arange(1, 37), later["equal"][2]),
    "large from scratch": (10 * np.arange(1, 49), scratch_curve),
    "small all the time": (10 * np.arange(1, 49), long_curve),
}
for name, (_, curve) in curves.items():
    last = np.asarray(curve[:, -1], float)
    half = 2.776 * last.std(ddof=1) / np.sqrt(len(last))  # Student's t, five seeds
    print(f"{name:28} {last.mean():.3f} ± {half:.3f}")

# %% [markdown]
# Growing is not ahead of training from scratch, and the small network alone is as good as all
# others. After growing, the accuracy even falls for a while: an update of the same rate moves more
# units, so it moves the function more. Growing has its use where a large network is needed, a small
# one is trained already, and little compute is left. Then it is ahead of a new network:

# %%
at_30 = {name: float(curve[:, 2].mean()) for name, (_, curve) in curves.items()}
grown_end, scratch_end = (
    float(curves[name][1][:, -1].mean())
    for name in ("grown at 120, random split", "large from scratch")
)
print(f"30 updates after growing {at_30['grown at 120, random split']:.3f}, ", end="")
print(f"after 30 updates from scratch {at_30['large from scratch']:.3f}")
assert at_30["grown at 120, random split"] > at_30["large from scratch"] + 0.03
assert grown_end < scratch_end + 0.01

# %%
for name, (at, curve) in curves.items():
    mean = np.asarray(curve).mean(0)
    (line,) = plt.plot(at, mean, label=name)
    low, high = np.min(curve, axis=0), np.max(curve, axis=0)
    plt.fill_between(at, low, high, color=line.get_color(), alpha=0.15)
plt.ylim(0.85, 1)
plt.xlabel("compute: updates of the large network")
plt.ylabel("accuracy on test images")
plt.title("means of five seeds; shades: smallest to largest")
plt.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# ## Now change this
#
# - Give the large network more to gain: `load_images("fashion_mnist", ...)`, after
#   `metajax data prepare fashion_mnist`.
# - Grow by other moves: `units.random_moves(SMALL, LARGE, seed=1)` doubles one layer at a time.
# - Name the units of [a network of your own](../docs/units.md), and widen that.
# - The same on the command line, with more rivals: `metajax compare growth --seeds 5`.
