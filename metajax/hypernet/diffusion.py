"""Denoising diffusion of vectors, such as latents of weights (DDPM; Ho et al., arXiv 2006.11239).

The schedule is the cosine of Nichol and Dhariwal (2021, arXiv 2102.09672), and what is predicted
is the velocity of Salimans and Ho (2022, arXiv 2202.00512), which is well scaled at both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from metajax.core import ConfigError, Network, Params, check_sizes, derive, indices_from
from metajax.nn import fourier_features, mlp

OFFSET = 0.008
"""Of the cosine, which keeps the first step's noise from being too small."""
MOST_NOISE = 0.999
"""Most that a step adds to the variance."""
FREQUENCIES = 6
"""Of the features of the level."""

Velocity = Callable[[Float[Array, "n size"], Int32[Array, " n"]], Float[Array, "n size"]]
"""``velocity(noisy, level)``, level 0 to ``num - 1``."""


def signal_shares(num: int) -> Float[np.ndarray, " num"]:
    """Return the part of the variance that is signal after 1 to ``num`` steps of noise.

    Args:
      num: steps.

    Raises:
      ConfigError: there is less than 1 step.
    """
    check_sizes(num=num)
    places = (np.arange(num + 1) / num + OFFSET) / (1 + OFFSET)
    share = np.cos(places * np.pi / 2) ** 2
    kept = np.maximum(share[1:] / share[:-1], 1 - MOST_NOISE)
    return np.cumprod(kept)


def diffusion_loss(
    velocity: Velocity, clean: Float[Array, "n size"], num: int, key: Key[Array, ""]
) -> Float[Array, ""]:
    """Return the mean square error of the velocity at random levels of noise.

    Args:
      velocity: the model.
      clean: vectors of about unit variance in each entry.
      num: levels.
      key: of levels and noise.
    """
    shares = jnp.asarray(signal_shares(num), clean.dtype)
    bits = jax.random.bits(derive(key, "levels"), clean.shape[:1], jnp.uint32)
    level = indices_from(bits, jnp.uint32(num))
    signal, noise = jnp.sqrt(shares[level])[:, None], jnp.sqrt(1 - shares[level])[:, None]
    drawn = jax.random.normal(derive(key, "noise"), clean.shape, clean.dtype)
    error = velocity(signal * clean + noise * drawn, level) - (signal * drawn - noise * clean)
    return jnp.mean(jnp.square(error))


def sample_diffusion(
    velocity: Velocity, shape: tuple[int, int], num: int, key: Key[Array, ""]
) -> Float[Array, "n size"]:
    """Draw vectors: noise from which the model removes a level after the other.

    Args:
      velocity: the model.
      shape: of the vectors.
      num: levels.
      key: of all draws; one key always gives the same vectors.

    Returns:
      The vectors.

    Raises:
      ConfigError: there is less than 1 level.
    """
    shares = jnp.asarray(signal_shares(num), jnp.float32)
    before = jnp.concatenate([jnp.ones(1), shares[:-1]])

    def step(noisy: Array, at: tuple[Array, Array, Array]) -> tuple[Array, None]:
        level, share, share_before = at
        signal, noise = jnp.sqrt(share), jnp.sqrt(1 - share)
        found = velocity(noisy, jnp.full(shape[:1], level))
        clean = signal * noisy - noise * found
        kept = share / share_before
        mean = (
            jnp.sqrt(share_before) * (1 - kept) * clean
            + jnp.sqrt(kept) * (1 - share_before) * noisy
        ) / (1 - share)
        deviation = jnp.sqrt((1 - kept) * (1 - share_before) / (1 - share))
        drawn = jax.random.normal(derive(key, "step", level), shape)
        return mean + deviation * drawn, None

    start = jax.random.normal(derive(key, "start"), shape)
    levels = jnp.arange(num, dtype=jnp.int32)
    return jax.lax.scan(step, start, (levels, shares, before), reverse=True)[0]


def denoiser(size: int, num: int, hidden: Sequence[int] = (256, 256)) -> Network:
    """Make a multi-layer perceptron that predicts the velocity of noisy vectors.

    Args:
      size: of the vectors.
      num: levels of noise.
      hidden: sizes of the hidden layers.

    Returns:
      A network: ``apply(params, noisy[n, size], level[n], condition[n, features])`` returns
      ``[n, size]``.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(size=size, num=num)
    if not hidden:
        raise ConfigError("hidden", hidden, "one hidden layer or more")
    network = mlp(hidden, size, jax.nn.silu)

    def joined(noisy: Array, level: Array, condition: Array) -> Array:
        place = fourier_features((level.astype(noisy.dtype) / num)[:, None], FREQUENCIES)
        return jnp.concatenate([noisy, place, condition], axis=1)

    def init(key: Key[Array, ""], noisy: Array, level: Array, condition: Array) -> Params:
        return network.init(key, joined(noisy, level, condition))

    def apply(params: Params, noisy: Array, level: Array, condition: Array) -> Array:
        return network.apply(params, joined(noisy, level, condition))

    return Network(init, apply)
