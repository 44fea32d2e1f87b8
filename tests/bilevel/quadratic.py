"""A bilevel problem with closed forms, and each estimator's value on it, in plain numpy.

Inner loss ``sum_i q_i (w_i - c_i - shift_i)^2 / 2 + exp(decay_i) w_i^2 / 2`` by gradient descent,
outer loss ``|w - v|^2 / 2 + mu |shift|^2 / 2``. Coordinates are independent, so every Jacobian is a
vector: ``A = 1 - lr (q + e^decay)``, ``B_shift = lr q``, ``B_decay(w) = -lr e^decay w``.
"""

import jax.numpy as jnp
import numpy as np
import optax

from metajax.bilevel import descend

LR, MU, DIM = 0.1, 0.3, 4
_draw = np.random.default_rng(0)
Q, C, V, W0 = (_draw.uniform(0.5, 2.0, DIM), *_draw.normal(size=(3, DIM)))
HPARAMS = {"decay": _draw.normal(-1.0, 0.5, DIM), "shift": _draw.normal(size=DIM)}


def inner_loss(params, hparams, batch):
    """``batch`` is ``[examples, 1]`` of ones: it weighs the loss and changes nothing."""
    q, c = jnp.asarray(Q, params.dtype), jnp.asarray(C, params.dtype)
    fit = jnp.sum(q * (params - c - hparams["shift"]) ** 2)
    return (fit + jnp.sum(jnp.exp(hparams["decay"]) * params**2)) / 2 * jnp.mean(batch)


def outer_loss(params, hparams, batch):
    mu = jnp.asarray(MU, params.dtype)
    distance = jnp.sum((params - jnp.asarray(V, params.dtype)) ** 2)
    return (distance + mu * jnp.sum(hparams["shift"] ** 2)) / 2


def problem():
    return descend(inner_loss, outer_loss, optax.sgd(LR))


def arguments(steps, dtype=np.float64):
    """``hparams, start, inner_batches, outer_batch`` of so many steps."""
    hparams = {name: jnp.asarray(value, dtype) for name, value in HPARAMS.items()}
    return hparams, jnp.asarray(W0, dtype), jnp.ones((steps, 3, 1), dtype), ()


class Closed:
    """Numpy values along the inner optimisation of ``steps`` steps."""

    def __init__(self, steps):
        self.steps, self.weight = steps, np.exp(HPARAMS["decay"])
        self.a = 1 - LR * (Q + self.weight)
        target = Q * (C + HPARAMS["shift"]) / (Q + self.weight)
        self.w = target + self.a ** np.arange(steps + 1)[:, None] * (W0 - target)
        self.alpha = self.w[-1] - V
        self.direct = {"decay": np.zeros(DIM), "shift": MU * HPARAMS["shift"]}

    def b(self, w):
        """d update/d hparams at ``w``."""
        return {"decay": -LR * self.weight * w, "shift": LR * Q}

    def total(self, per_step):
        """Direct gradient plus ``alpha`` times the sum of ``weight * b(w)`` over ``per_step``."""
        per_step = [(weight, self.b(w)) for weight, w in per_step]
        return {
            name: direct + self.alpha * sum(weight * b[name] for weight, b in per_step)
            for name, direct in self.direct.items()
        }

    def exact(self):
        powers = [self.a ** (self.steps - t) for t in range(1, self.steps + 1)]
        return self.total(zip(powers, self.w[:-1], strict=True))

    def first_order(self):
        return self.total([])

    def one_step(self):
        return self.total([(1.0, self.w[-2])])

    def drmad(self):
        shares = np.arange(self.steps) / self.steps
        line = [(1 - share) * self.w[0] + share * self.w[-1] for share in shares]
        powers = [self.a ** (self.steps - t) for t in range(1, self.steps + 1)]
        return self.total(zip(powers, line, strict=True))

    def neumann(self, terms):
        return self.total([(sum(self.a**k for k in range(terms)), self.w[-1])])

    def implicit(self):
        return self.total([(1 / (1 - self.a), self.w[-1])])

    def distilled(self, gamma, theta):
        """Equations 13 and the product after them, step by step as the paper writes them."""
        star = self.w[0]
        for t in range(2, self.steps + 1):
            p = (gamma - gamma**t) / (1 - gamma**t)
            star = p * star + (1 - p) * self.w[t - 1]
        scale = theta * (1 - gamma**self.steps) / (1 - gamma)
        return self.total([(scale, star)])

    def theta(self, gamma, stored=False):
        """Algorithm 4, on the straight line from the first to the last state or the real ones."""

        def line(t):
            return self.w[0] + (self.w[-1] - self.w[0]) * t / self.steps

        alpha, second = self.alpha, {"decay": np.zeros(DIM), "shift": np.zeros(DIM)}
        xs, ys, star = [], [], None
        for s in range(1, self.steps + 1):
            w = self.w[self.steps - s] if stored else line(self.steps - s)
            second = {name: second[name] + alpha * b for name, b in self.b(w).items()}
            alpha = alpha * self.a
            p = (1 - gamma ** (s - 1)) / (1 - gamma**s)
            star = w if star is None else p * star + (1 - p) * w
            v = {name: self.alpha * b for name, b in self.b(star).items()}
            size = np.sqrt(sum(np.sum(x**2) for x in v.values()))
            xs.append(size * (1 - gamma**s) / (1 - gamma))
            ys.append(sum(np.sum(v[name] * second[name]) for name in v) / size)
        return np.dot(xs, ys) / np.dot(xs, xs)
