"""Random closed-form functions as data, so that a batch of different ones is one program."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.nn.jets import Jet, chain, product

ADD, MULTIPLY, COMPOSE = range(3)
IDENTITY, SIN, COS, TANH, SIGMOID, LORENTZ = range(6)
FEWEST, MOST = 6, 10
"""Updates of an expression."""
WIDEST = 10.0
"""The largest ``a`` and ``b``."""
NUMBERS = (MOST + 1, 9)
"""Uniform numbers that make an expression."""
TWO_PI = 6.283185307179586


class Expression(NamedTuple):
    """A function of the plane: updates of ``u``, read one after the other from ``u = 0``.

    An update joins ``d psi(a x + b y + c) + e`` to ``u`` by adding or multiplying, or composes:
    ``u <- d psi(u) + e``. ``psi`` is the identity, sin, cos, tanh, the logistic function or
    ``1 / (1 + z^2)``. An update that adds with ``d = e = 0`` does nothing.

    Attributes:
      join: 0 adds, 1 multiplies, 2 composes.
      psi: 0 to 5, in the order above.
      constants: a, b, c, d, e.
    """

    join: Int32[Array, " updates"]
    psi: Int32[Array, " updates"]
    constants: Float[Array, "updates 5"]


def draw_expression(key: Key[Array, ""]) -> Expression:
    """Draw 6 to 10 updates (Bischof et al. 2025, arXiv 2509.05117, section on data).

    ``a`` and ``b`` are 0 with probability one half each, else uniform to 10 either way; ``c``,
    ``d`` and ``e`` are uniform to 2 pi either way; joins and functions are equally likely, but the
    first update adds. Composition leaves out ``a``, ``b`` and ``c``, as the authors' program does.

    Args:
      key: of the draw.

    Returns:
      The expression.
    """
    return make_expression(jax.random.uniform(key, NUMBERS))


def make_expression(unit: Float[Array, "11 9"]) -> Expression:
    """Make what :func:`draw_expression` draws from uniform numbers."""

    def whole(number, u):
        return jnp.floor(number * u).astype(jnp.int32)

    updates = FEWEST + whole(MOST - FEWEST + 1, unit[MOST, 0])
    join, psi = whole(3, unit[:MOST, 0]).at[0].set(ADD), whole(6, unit[:MOST, 1])
    either_way = 2 * unit[:MOST, 2:] - 1
    slopes = jnp.where(either_way[:, 5:] < 0, 0.0, WIDEST * either_way[:, :2])
    constants = jnp.concatenate([slopes, TWO_PI * either_way[:, 2:5]], 1)
    read = jnp.arange(MOST, dtype=jnp.int32) < updates
    return Expression(jnp.where(read, join, ADD), psi, jnp.where(read[:, None], constants, 0.0))


def expand(expression: Expression, points: Float[Array, "n 2"]) -> Jet:
    """Return an expression's value and derivatives at points, ``[n]`` each, exact up to rounding.

    Args:
      expression: of x and y.
      points: where it is taken.

    Returns:
      The jet.
    """
    x, y = points.T
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)

    def update(jet: Jet, read: Expression) -> tuple[Jet, None]:
        a, b, c, d, e = read.constants
        plane = Jet(a * x + b * y + c, a * one, b * one, zero, zero, zero)
        z = choose(read.join == COMPOSE, jet, plane)
        value, slope, curvature = outer(read.psi, z.u)
        term = chain(d * value + e, d * slope, d * curvature, z)
        added = Jet(*(f + g for f, g in zip(jet, term, strict=True)))
        joined = choose(read.join == MULTIPLY, product(jet, term), added)
        return choose(read.join == COMPOSE, term, joined), None

    # a loop, as XLA takes minutes to compile all updates in one piece
    return jax.lax.scan(update, Jet(*(zero,) * 6), expression)[0]


def choose(first: Bool[Array, ""], yes: Jet, no: Jet) -> Jet:
    """One of two jets."""
    return Jet(*(jnp.where(first, f, g) for f, g in zip(yes, no, strict=True)))


def outer(psi: Int32[Array, ""], z: Float[Array, " n"]) -> tuple[Array, Array, Array]:
    """The value, slope and curvature of the function number ``psi`` at ``z``.

    All of them are evaluated, as a batch of expressions does anyway, so what can be is shared:
    cos is sin a quarter turn on, the logistic function half of 1 + tanh(z / 2).
    """
    sine, cosine = sine_and_cosine(z, (psi == COS).astype(jnp.int32))
    half = jnp.where(psi == SIGMOID, 0.5, 1.0).astype(z.dtype)
    # 1 - tanh^2 without cancellation, as slopes multiply it by large numbers
    decay = jnp.exp(-2 * half * jnp.abs(z))
    share = 1 / (1 + decay)
    tanh = jnp.sign(z) * (1 - decay) * share
    steep = 4 * half**2 * decay * share**2
    lorentz = 1 / (1 + z**2)
    family = (psi + 1) // 2
    trigonometric, hyperbolic, rational = family == 1, family == 2, family == 3

    def pick(identity: Any, sin: Array, tan: Array, fraction: Array) -> Array:
        other = jnp.where(hyperbolic, tan, jnp.where(rational, fraction, identity))
        return jnp.where(trigonometric, sin, other)

    return (
        pick(z, sine, 1 - half + half * tanh, lorentz),
        pick(1.0, cosine, steep, -2 * z * lorentz**2),
        pick(0.0, -sine, -2 * half * tanh * steep, (6 * z**2 - 2) * lorentz**3),
    )


def sine_and_cosine(
    z: Float[Array, " n"], quarters: Int32[Array, ""]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The sine and cosine of ``z`` and so many quarter turns.

    In float32 this takes one reduction to an eighth of a turn and the polynomials of Cephes (sinf,
    cosf), and is within 2e-7 for ``|z|`` up to 1e4. On CPU it is 13 times as fast as ``jnp.sin``
    and ``jnp.cos``, which call the C library point by point.
    """
    if z.dtype != jnp.float32:
        turned = z + quarters.astype(z.dtype) * (jnp.pi / 2)
        return jnp.sin(turned), jnp.cos(turned)
    turns = jnp.round(z * (2 / jnp.pi))
    # pi/2 in three parts; the products with the first two are exact
    r = ((z - turns * 1.5703125) - turns * 4.837512969970703e-4) - turns * 7.549789948768648e-8
    s = r**2
    sine = r + r * s * (-1.6666654611e-1 + s * (8.3321608736e-3 - s * 1.9515295891e-4))
    cosine = 4.166664568298827e-2 + s * (-1.388731625493765e-3 + s * 2.443315711809948e-5)
    cosine = 1 - 0.5 * s + s**2 * cosine
    quadrant = (turns.astype(jnp.int32) + quarters) & 3
    odd, second_half = (quadrant & 1) == 1, quadrant >= 2
    left = (quadrant == 1) | (quadrant == 2)
    first, other = jnp.where(odd, cosine, sine), jnp.where(odd, sine, cosine)
    return jnp.where(second_half, -first, first), jnp.where(left, -other, other)
