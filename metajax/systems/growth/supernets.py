"""The methods that train all architectures of a space: in a supernet, or each alone."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array

from metajax import learners, units
from metajax.core import ConfigError, Count, Network, Params, Several, count
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.settings import Training
from metajax.systems.growth.stage import Members, Networks, one_stage

ACTIVATIONS = ("relu", "tanh", "sine")


@dataclass(frozen=True)
class Choices:
    """The architectures that are trained: a size and an activation for each hidden layer."""

    sizes: Several = 2
    """Sizes that each hidden layer has to choose from, from `small_width` to `width`."""
    activations: Literal["relu", "all"] = "all"
    """Activations that each hidden layer has to choose from; all: ReLU, tanh and sine."""


@dataclass(frozen=True)
class Sampled:
    """Which architectures an update trains."""

    sampling: Literal["random", "sandwich", "fair"] = "random"
    """How architectures are drawn; sandwich: with the smallest and the largest; fair: each option
    of a layer equally often."""
    paths: Count = 4
    """Architectures of an update, which share its images; fair: as many as the options need."""


CHOICES = Choices()
SAMPLED = Sampled()
MOST = 1000
"""Architectures that are measured: more take too long."""


def space_of(problem: Problem, choices: Choices) -> units.Space:
    """Return the space of architectures, the sizes of all layers first.

    Raises:
      ConfigError: it has more than ``MOST``, or the sizes are no different ones.
    """
    ends = problem.settings.small_width, problem.settings.width
    sizes = tuple(sorted({round(size) for size in np.geomspace(*ends, choices.sizes).tolist()}))
    if len(sizes) < choices.sizes:
        expected = f"at most the {len(sizes)} different sizes from {ends[0]} to {ends[1]}"
        raise ConfigError("sizes", choices.sizes, expected)
    layers = range(problem.settings.layers)
    space: dict[str, tuple[int, ...] | tuple[str, ...]] = {f"h{layer}": sizes for layer in layers}
    if choices.activations == "all":
        space |= {f"activation{layer}": ACTIVATIONS for layer in layers}
    if (number := math.prod(len(options) for options in space.values())) > MOST:
        raise ConfigError("sizes", choices.sizes, f"at most {MOST} architectures, not {number}")
    return space


def widths_of(problem: Problem, space: units.Space) -> list[tuple[int, ...]]:
    """Return the sizes of all layers, for every choice of them."""
    sizes = [size for size in space["h0"] if isinstance(size, int)]
    return list(itertools.product(sizes, repeat=problem.settings.layers))


def words_of(problem: Problem, space: units.Space) -> list[tuple[str, ...]]:
    """Return the activations of all layers, for every choice of them."""
    words = [str(word) for word in space.get("activation0", ("relu",))]
    return list(itertools.product(words, repeat=problem.settings.layers))


def members_of(problem: Problem, space: units.Space, logits: Callable[..., Array]) -> Members:
    """Return all architectures as members: ``8 relu, 32 sine``."""
    names, flops = [], []
    for widths, words in itertools.product(widths_of(problem, space), words_of(problem, space)):
        each = zip(widths, words, strict=True)
        names.append(", ".join(f"{width} {word}" for width, word in each))
        flops.append(problem.forward_flops(widths))
    return Members(tuple(names), tuple(flops), logits)


def supernet(
    problem: Problem,
    training: Training,
    *,
    choices: Choices = CHOICES,
    sampled: Sampled = SAMPLED,
) -> Method:
    """Train all architectures with shared weights (slimmable networks, arXiv 1812.08928)."""
    return mixed(problem, training, choices, sampled)


def mixture_of_supernets(
    problem: Problem,
    training: Training,
    *,
    choices: Choices = CHOICES,
    sampled: Sampled = SAMPLED,
    experts: Several = 2,
    by: Literal["layer", "neuron"] = "layer",
    codes: Literal["architecture", "random"] = "architecture",
) -> Method:
    """Mix the weights of several supernets for each architecture (MoS, arXiv 2306.04845).

    Args:
      experts: Sets of weights that are mixed.
      by: Whether each layer or each neuron has its own mixture.
      codes: What the router reads: the architecture, or random numbers for each one, a control.
    """
    return mixed(problem, training, choices, sampled, experts, by, codes)


def mixed(
    problem: Problem,
    training: Training,
    choices: Choices,
    sampled: Sampled,
    experts: int = 1,
    by: Literal["layer", "neuron"] = "layer",
    codes: Literal["architecture", "random"] = "architecture",
) -> Method:
    """Return the method that trains a supernet or a mixture of supernets.

    Raises:
      ConfigError: an update has fewer images than architectures.
    """
    space, inputs = space_of(problem, choices), problem.test.inputs[:1]
    images, paths = problem.settings.examples, sampled.paths
    if sampled.sampling == "fair":
        paths = math.lcm(*map(len, space.values()))
    if paths > images:
        raise ConfigError("examples", images, f"{paths} or more, one for each of so many paths")
    network = units.choosing_mlp(problem.large, problem.ways, space)
    names = units.mlp_units(jax.eval_shape(network.init, jax.random.key(0), inputs))
    code = units.architecture_code
    if codes == "random":
        code = functools.partial(units.random_code, seed=0)
    net = units.supernet(network, names, space, experts=experts, by=by, code=code)
    learner = learners.shared_subnetworks(net, network, space, sampled.sampling, paths)

    def logits(networks: Networks, inputs: Array) -> Array:
        return learners.all_subnetworks(net, network, space, networks[-1], inputs)

    flops = problem.update_flops(problem.large)
    if experts > 1:
        # mixing multiplies all weights forward, and backward for experts and gates
        sizes = jax.eval_shape(net.init, jax.random.key(0), inputs)
        flops += math.ceil(6 * count(sizes) * paths / images)
    members = members_of(problem, space, logits)
    return one_stage(training, learner, "supernet", flops, members=members)


def subnetworks_alone(
    problem: Problem, training: Training, *, choices: Choices = CHOICES
) -> Method:
    """Train every architecture alone: the baseline of supernets, which costs as many networks."""
    space = space_of(problem, choices)
    variants = len(words_of(problem, space))

    def make(widths: tuple[int, ...]) -> Network:
        return units.choosing_mlp(widths, problem.ways, space)

    alone = learners.lone_subnetworks(make, space)

    def logits(networks: Networks, inputs: Array) -> Array:
        return alone.predict(networks[-1], (), inputs)

    def largest(params: Params, adapted: Any, inputs: Array) -> Array:
        return alone.predict(params, adapted, inputs)[-variants]

    flops = variants * sum(map(problem.update_flops, widths_of(problem, space)))
    members = members_of(problem, space, logits)
    learner, title = alone._replace(predict=largest), f"{len(members.names)} networks"
    return one_stage(training, learner, title, flops, members=members)
