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
# # Hypergradients: learning rates that tune themselves in one training run
#
# A hypergradient is the derivative of the validation loss with respect to the hyperparameters of
# the training. Here it tunes three hyperparameters, the learning rates of the layers of a small
# network, while the network trains: one run, no restarts. The first guess is a hundred times too
# small. The baselines are the same guess kept fixed, and a grid of fixed rates. The data are
# scikit-learn's digits, with eight seeds; about two minutes on a CPU.

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
from scipy import stats

import metajax as mj
from metajax.bilevel import (
    OnlineParams,
    descend,
    evaluate_hypergradient,
    hypergradient,
    online_run,
)
from metajax.data import ImagePool, device_pool, load_images
from metajax.nn import mlp

# %% [markdown]
# ## Data: three parts
#
# The weights are fitted to 1000 images of the training split, and the rates to its other 442. The
# 355 images of the test split are kept for the table at the end.

# %%
images = load_images("digits", "train")
order = np.random.default_rng(0).permutation(len(images.labels))


def pool_of(rows):
    return device_pool(images._replace(images=images.images[rows], labels=images.labels[rows]))


train, validation = pool_of(order[:1000]), pool_of(order[1000:])
test = device_pool(load_images("digits", "test"))


def whole(pool):
    """All images of a pool, normalized as those that are trained on."""
    return train.normalise(pool.images), pool.labels


# %% [markdown]
# ## The inner problem: SGD with momentum, one log rate per layer
#
# `descend` takes any optax optimizer. The hyperparameters are logarithms of the rates. This keeps
# the rates positive, and one step of the outer optimizer changes every rate by a similar factor.

# %%
network = mlp([64, 64], 10)


def loss(weights, log_rates, batch):
    inputs, labels = batch
    logits = network.apply(weights, inputs)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def sgd(log_rates):
    def scale(moves, _):
        return {
            layer: jax.tree.map(lambda move, layer=layer: -jnp.exp(log_rates[layer]) * move, moved)
            for layer, moved in moves.items()
        }

    return optax.chain(optax.trace(decay=0.9), optax.stateless(scale))


problem = descend(loss, loss, sgd)

# %% [markdown]
# ## Offline: how good are the estimators?
#
# `evaluate_hypergradient` differentiates a whole inner optimization. The estimator `unrolled` is
# exact. `first_order` differentiates the outer loss alone, in which the rates do not appear, so its
# estimate is zero. The implicit estimators are left out: they differentiate the point to which
# training converges, and this point does not depend on the rates.

# %%
seeds, horizon = 8, 100
estimators = {
    "one_step": hypergradient("one_step"),
    "drmad": hypergradient("drmad"),
    "distilled, gamma .9": hypergradient("distilled", gamma=0.9),
    "distilled, gamma .99": hypergradient("distilled", gamma=0.99),
}


def start_of(key, rate):
    weights = network.init(key, jnp.zeros((1, train.num_features)))
    return {layer: jnp.log(rate) for layer in weights}, weights


def hypergradient_of(estimator, rate, key):
    """The gradient in three log rates, after so many steps at one rate."""
    log_rates, weights = start_of(key, rate)
    examples = jax.vmap(lambda key: train.examples(key, 50))(jax.random.split(key, horizon))
    grads = evaluate_hypergradient(
        estimator, problem, log_rates, weights, examples, whole(validation), key=key
    )
    return jnp.stack(list(grads.values()))


def over_seeds(estimator):
    """Hypergradients at a rate far too small and at a good one, ``[2, seeds, layers]``."""
    keys = jax.random.split(jax.random.key(0), seeds)

    def one(rate, key):
        return hypergradient_of(estimator, rate, key)

    both = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
    return np.asarray(both(jnp.array([1e-4, 1e-2]), keys))


def interval(values):
    """Half the width of the 95% interval of the mean."""
    return stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)


exact = over_seeds(hypergradient("unrolled"))
print(f"{'':22s}{'cosine at 1e-4':>18s}{'at 1e-2':>18s}{'size at 1e-4':>18s}{'at 1e-2':>18s}")
cosines = {}
for name, estimator in estimators.items():
    found = over_seeds(estimator)
    sizes = np.linalg.norm(found, axis=-1) / np.linalg.norm(exact, axis=-1)
    cosines[name] = (found * exact).sum(axis=-1) / (sizes * (exact**2).sum(axis=-1))
    cells = [f"{c.mean():.2f} ± {interval(c):.2f}" for c in cosines[name]]
    cells += [f"{np.median(size):.2f}" for size in sizes]
    print(f"{name:22s}" + "".join(f"{cell:>18s}" for cell in cells))

assert min(cosine[0].mean() for cosine in cosines.values()) > 0.9

# %% [markdown]
# Sizes are medians, relative to the size of the exact hypergradient. Where the rate is far too
# small, every estimator points in the right direction, and only its size is wrong. Where the rate
# is good, only DrMAD still points in the right direction, because it goes back over all the steps.
# It is also the only one that costs about as much as the exact hypergradient.

# %% [markdown]
# ## Online: one long run
#
# A task is the data of one inner step: a batch to fit, and one to validate on. A meta-step of
# `online_run` is `tasks_per_step` inner steps and one update of the hyperparameters.
#
# An `Algorithm` is three pure functions. So `jax.vmap` makes one program of many runs: for each
# first guess of the rate there are eight runs, each with its own weights and batches.


# %%
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Steps:
    """The data of one inner step for each of the seeds."""

    train: ImagePool
    validation: ImagePool

    def one(self, key):
        train_key, validation_key = jax.random.split(key)
        return mj.Task(
            self.train.examples(train_key, 50), self.validation.examples(validation_key, 50)
        )

    def __call__(self, key):
        return jax.vmap(self.one)(jax.random.split(key, seeds))


def runs(estimator, rates):
    """One algorithm that holds a run for every rate and seed."""

    def run_from(rate):
        return online_run(
            estimator,
            problem,
            optax.adam(0.1),
            init=lambda key, task: OnlineParams(*start_of(key, rate)),
        )

    def init(key, tasks):
        keys = jax.random.split(key, seeds)
        return jax.vmap(lambda rate: jax.vmap(run_from(rate).init)(keys, tasks))(rates)

    def update(states, tasks, key, axis_name=None):
        keys = jax.random.split(key, seeds)
        step = jax.vmap(run_from(rates[0]).update, (0, 1, 0))
        states, metrics = jax.vmap(lambda state: step(state, tasks, keys))(states)
        return states, jax.tree.map(jnp.mean, metrics)

    return mj.Algorithm(init, update, jax.vmap(jax.vmap(run_from(rates[0]).params)))


# %%
@jax.jit
def score(params, data):
    """Loss and accuracy of every run, ``[rates, seeds]``."""

    def one(params):
        right = network.apply(params.params, data[0]).argmax(axis=-1) == data[1]
        return loss(params.params, params.hparams, data), right.mean()

    return jax.vmap(jax.vmap(one))(params)


def follow(estimator, rates):
    """Train, and keep losses and rates along the way."""
    losses, found = [], []

    def measure(params, key):
        losses.append(score(params, whole(validation))[0])
        found.append(jnp.exp(jnp.stack(list(params.hparams.values()), axis=-1)))
        return {}

    result = mj.fit(
        runs(estimator, jnp.array(rates)),
        Steps(train, validation),
        steps=200,
        tasks_per_step=10,
        key=jax.random.key(1),
        evaluators=[mj.Evaluator("validation", 5, measure)],
    )
    return {
        "loss": np.stack(losses),  # [measurements, rates, seeds]
        "rates": np.stack(found),  # [measurements, rates, seeds, layers]
        "test": [np.asarray(values) for values in score(result.params, whole(test))],
    }


guess, grid = 1e-4, [1e-3, 1e-2, 1e-1, 1.0]
# first-order's estimate is zero: the rates stay where they are
fixed = follow(hypergradient("first_order"), [guess, *grid])
tuned = {
    name: follow(hypergradient(name, **options), [guess])
    for name, options in [("one_step", {}), ("distilled", {"gamma": 0.99}), ("forward", {})]
}

# %% [markdown]
# ## What came out
#
# The table shows means over eight seeds with 95% intervals. `forward` computes the exact derivative
# of the weights along with the weights. With three hyperparameters this is affordable, and it is
# the reference for the other estimators.

# %%
rows = {f"fixed at {rate:g}": (fixed, i) for i, rate in enumerate([guess, *grid])}
rows |= {f"{name}, from {guess:g}": (run, 0) for name, run in tuned.items()}
final = {name: run["loss"][-1, i] for name, (run, i) in rows.items()}
print(f"{'':26s}{'validation loss':>20s}{'test loss':>20s}{'test accuracy %':>20s}")
for name, (run, i) in rows.items():
    columns = [final[name], run["test"][0][i], 100 * run["test"][1][i]]
    cells = [f"{values.mean():.3f} ± {interval(values):.3f}" for values in columns]
    print(f"{name:26s}" + "".join(f"{cell:>20s}" for cell in cells))

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
inner_steps = 50 * np.arange(1, 41)
for style, (name, run) in zip(["--", "-", ":"], tuned.items(), strict=True):
    for layer, color in enumerate(["C0", "C1", "C2"]):
        values = np.exp(np.log(run["rates"][:, 0, :, layer]).mean(axis=1))
        left.plot(inner_steps, values, style, color=color, label=f"{name}, layer {layer + 1}")
    right.plot(inner_steps, run["loss"][:, 0].mean(axis=1), style, color="C3", label=name)
for i, rate in enumerate([guess, *grid]):
    right.plot(inner_steps, fixed["loss"][:, i].mean(axis=1), lw=1, color=str(0.15 * i))
    right.text(inner_steps[-1], fixed["loss"][-1, i].mean(), f" {rate:g}", va="center", fontsize=8)
left.set(xlabel="inner steps", ylabel="learning rate", yscale="log", title="mean over seeds")
right.set(xlabel="inner steps", ylabel="validation loss", yscale="log", title="fixed rates in grey")
left.legend(frameon=False, fontsize=7)
right.legend(frameon=False)
plt.show()

# %% [markdown]
# One run from a guess a hundred times too small ends about where the best fixed rate does, for the
# price of one run in place of a grid. It gains no more than that. The rates are fitted to the
# validation split. On the test split, which tuned nothing, the best fixed rate is at least as good.
#
# The better estimators do not win here either. From a guess this bad, every estimator has the right
# direction, and the outer optimizer, Adam, uses signs more than sizes. Once the loss is flat in the
# rates, the rates drift at random.

# %%
for name, run in tuned.items():
    reached = final[f"{name}, from {guess:g}"].mean()
    assert reached < 0.5 * final[f"fixed at {guess:g}"].mean()  # far better than its guess
    assert reached < 1.5 * min(final[f"fixed at {rate:g}"].mean() for rate in grid)
    assert (run["rates"][-1] > 10 * guess).all()  # every layer's, in every run

# %% [markdown]
# ## Now change this
#
# - Start from `guess = 1e-6` or `10.0`. From how far away does a run still find good rates?
# - Tune the momentum too: replace the number in `sgd` by a hyperparameter.
# - Write an outer loop of your own: [your outer loop](your_outer_loop.ipynb).
