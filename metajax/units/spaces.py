"""Spaces of architectures: what is chosen, ways to draw it, and what it is as numbers and masks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from metajax.core import ConfigError, derive

Space = Mapping[str, tuple[int, ...] | tuple[str, ...]]
"""The options of each choice: numbers of units for a name of units, or words for anything else."""

Architecture = dict[str, Int[Array, "*many"]]
"""For each choice the index of an option, which may be traced; or many on the first axis."""


def sample_architecture(key: Key[Array, ""], space: Space) -> Architecture:
    """Draw an architecture, every option of a choice as often as the others.

    Args:
      key: of the draw.
      space: of architectures.

    Returns:
      For each choice the index of an option.

    Raises:
      ConfigError: the space is no space.

    Examples:
      >>> import jax
      >>> from metajax.units import architecture_code, sample_architecture
      >>> space = {"h0": (8, 16, 32), "activation": ("relu", "tanh")}
      >>> architecture = sample_architecture(jax.random.key(0), space)
      >>> sorted(architecture), architecture_code(architecture, space).shape
      (['activation', 'h0'], (3,))
    """
    check_space(space)
    counts = jnp.array([len(options) for options in space.values()])
    return dict(zip(space, jax.random.randint(key, counts.shape, 0, counts), strict=True))


def sandwich(key: Key[Array, ""], space: Space, num: int) -> Architecture:
    """Return the smallest architecture, the largest and random ones (the sandwich rule).

    Yu and Huang 2019, arXiv 1903.05134, section 3.2. Choices among words are drawn for all.

    Args:
      key: of the random ones.
      space: of architectures.
      num: architectures in all.

    Returns:
      ``num`` architectures on the first axis: the smallest, the largest, then the random ones.

    Raises:
      ConfigError: the space is no space, or ``num`` is below 2.
    """
    check_space(space)
    if num < 2:
        raise ConfigError("num", num, "2 or more, for the smallest and the largest")
    keys = jax.random.split(key, num)
    found = jax.vmap(lambda key: sample_architecture(key, space))(keys)
    for name, options in space.items():
        if sizes := sizes_in(options):
            ends = jnp.array([np.argmin(sizes), np.argmax(sizes)], found[name].dtype)
            found[name] = found[name].at[:2].set(ends)
    return found


def fair_architectures(key: Key[Array, ""], space: Space) -> Architecture:
    """Draw architectures that together have every option of a choice equally often.

    After FairNAS (Chu et al. 2019, arXiv 1907.01845, section 3): where all choices have as many
    options, each option comes once.

    Args:
      key: of the order of each choice.
      space: of architectures.

    Returns:
      As many architectures as the least common multiple of the numbers of options.

    Raises:
      ConfigError: the space is no space.
    """
    check_space(space)
    num = math.lcm(*(len(options) for options in space.values()))
    return {
        name: jax.random.permutation(derive(key, name), jnp.arange(num) % len(options))
        for name, options in space.items()
    }


def largest_architecture(space: Space) -> Architecture:
    """Return the architecture with the most units of each name, and the first of all words.

    Args:
      space: of architectures.

    Raises:
      ConfigError: the space is no space.
    """
    check_space(space)
    return {
        name: jnp.int32(np.argmax(sizes) if (sizes := sizes_in(options)) else 0)
        for name, options in space.items()
    }


def all_architectures(space: Space) -> Architecture:
    """Return every architecture of a space, on the first axis.

    Args:
      space: of architectures.

    Raises:
      ConfigError: the space is no space.
    """
    check_space(space)
    grid = np.indices([len(options) for options in space.values()], np.int32)
    return dict(zip(space, jnp.asarray(grid.reshape(len(space), -1)), strict=True))


def architecture_code(architecture: Architecture, space: Space) -> Float[Array, " features"]:
    """Return an architecture as numbers for a router or a predictor.

    A number of units becomes its share of the largest option, a word a one-hot vector.

    Args:
      architecture: one index a choice.
      space: of architectures.

    Raises:
      ConfigError: the space is no space.
    """
    check_space(space)
    parts = []
    for name, options in space.items():
        if sizes := sizes_in(options):
            shares = jnp.array([size / max(sizes) for size in sizes], jnp.float32)
            parts.append(shares[architecture[name]][None])
        else:
            parts.append(jax.nn.one_hot(architecture[name], len(options), dtype=jnp.float32))
    return jnp.concatenate(parts)


def random_code(
    architecture: Architecture, space: Space, seed: int, features: int = 8
) -> Float[Array, " features"]:
    """Return random numbers for an architecture, always the same ones.

    The control of :func:`architecture_code`: architectures that are alike have unrelated codes.

    Args:
      architecture: one index a choice.
      space: of architectures.
      seed: of all codes.
      features: numbers, from 0 to 1.

    Raises:
      ConfigError: the space is no space.
    """
    check_space(space)
    key = jax.random.key(seed)
    for name in space:
        key = jax.random.fold_in(key, architecture[name])
    return jax.random.uniform(key, (features,), jnp.float32)


def architecture_masks(
    architecture: Architecture, space: Space, sizes: Mapping[str, int]
) -> dict[str, Bool[Array, " n"]]:
    """Return masks of the units that an architecture has: the first ones of each name.

    Args:
      architecture: one index a choice.
      space: of architectures.
      sizes: how many units each name has, see :func:`unit_sizes`.

    Returns:
      A mask for each name of units in the space, as :func:`mask_units` takes them.

    Raises:
      ConfigError: the space is no space, a choice among numbers is no name of units, or has more
        of them than there are.
    """
    check_space(space)
    masks = {}
    for name, options in space.items():
        if not (numbers := sizes_in(options)):
            continue
        if max(numbers) > sizes.get(name, 0):
            raise ConfigError(f"space, {name}", options, f"numbers of units, of which are {sizes}")
        masks[name] = jnp.arange(sizes[name]) < jnp.array(numbers)[architecture[name]]
    return masks


def sizes_in(options: tuple[int, ...] | tuple[str, ...]) -> list[int]:
    """Return options as numbers of units, none where they are words.

    Args:
      options: of a choice.
    """
    return [option for option in options if isinstance(option, int)]


def check_space(space: Space) -> None:
    """Raise where options are none, or are not all numbers or all words.

    Args:
      space: of architectures.

    Raises:
      ConfigError: it is no space.
    """
    if not space:
        raise ConfigError("space", space, "one choice or more")
    for name, options in space.items():
        kinds = {type(option) for option in options}
        low = [size for size in sizes_in(options) if size < 1]
        if kinds not in ({int}, {str}) or low or len(set(options)) < len(options):
            raise ConfigError(
                f"space, {name}", options, "different numbers of 1 or more, or different words"
            )
