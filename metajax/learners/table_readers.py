"""A learner of small tables: solved classifiers, weighed by how each predicts left-out rows.

Nothing of it depends on the order of rows, of features or of classes, or on their numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Examples, MetaLearner, Params, Task
from metajax.learners.table_parts import (
    LEAST,
    Labels,
    Scales,
    View,
    labels_of,
    scales_of,
    table_learner,
    view_of,
)
from metajax.nn import (
    KernelLogistic,
    kernel_logistic,
    kernel_logistic_predict,
    mlp,
    probabilities,
)

STEPS = 20
"""Steps of every solve."""
CODE = 16
"""Numbers by which the network of a table tells that of a query what it saw."""
STATISTICS = 5
"""Numbers that say how a kernel did."""
FIRST_TRUST = 5.0
"""What a nat of loss on left-out rows counts in a kernel's weight before anything is learned."""
AT_ONCE = 512
"""Rows up to which all kernels are solved as one batch; beyond, one after the other."""


class Kernel(NamedTuple):
    """A kernel over a view.

    Attributes:
      view: ``plain`` or ``bent``.
      amplitude: its variance; of a linear one without ``relative``, per feature.
      reach: None: linear; else ``exp(-D / reach)`` of the squared distance in units of the mean
        square norm.
      relative: whether a linear kernel is counted in units of the mean square norm.
      offset: variance of what all rows share.
    """

    view: str
    amplitude: float
    reach: float | None = None
    relative: bool = False
    offset: float = 1.0


KERNELS = (
    Kernel("plain", 5.0, offset=10.0),
    Kernel("plain", 1.0, offset=5.0),
    Kernel("plain", 0.1, offset=2.0),
    Kernel("plain", 0.3, relative=True),
    Kernel("plain", 4.0, reach=1.0),
    Kernel("plain", 4.0, reach=2.0),
    Kernel("plain", 16.0, reach=8.0),
    Kernel("bent", 20.0, relative=True, offset=4.0),
    Kernel("bent", 2.0, relative=True, offset=2.0),
    Kernel("bent", 8.0, reach=2.0),
)
"""What is solved for every table: penalties and widths from stiff to loose."""


class Read(NamedTuple):
    """What is kept of a support.

    Attributes:
      scales: how features are standardized.
      view: its rows, 0 where there is none.
      known: which rows there are.
      fits: one for each kernel, stacked.
      prior: smoothed frequencies of the classes, 0 of those that are absent.
      task: what the network makes of how well the kernels did.
    """

    scales: Scales
    view: View
    known: Bool[Array, " rows"]
    fits: KernelLogistic
    prior: Float[Array, " classes"]
    task: Any


def kernel_values(left: View, right: View, scales: Scales) -> Float[Array, "kernels left right"]:
    """Return the values of all kernels between the rows of two views."""
    products = {name: getattr(left, name) @ getattr(right, name).T for name in View._fields}
    found = []
    for kernel in KERNELS:
        product, scale = products[kernel.view], getattr(scales, kernel.view)
        if kernel.reach is None:
            unit = 1 / scale if kernel.relative else 1.0
            found.append(kernel.offset + kernel.amplitude * unit * product)
            continue
        norms = [jnp.sum(getattr(side, kernel.view) ** 2, axis=1) for side in (left, right)]
        distances = jnp.maximum(norms[0][:, None] + norms[1][None] - 2 * product, 0)
        near = jnp.exp(-distances / (kernel.reach * scale))
        found.append(kernel.offset + kernel.amplitude * near)
    return jnp.stack(found)


def own_values(view: View, scales: Scales) -> Float[Array, "kernels rows"]:
    """Return the values of all kernels of rows with themselves."""
    found = []
    for kernel in KERNELS:
        norms = jnp.sum(getattr(view, kernel.view) ** 2, axis=1)
        unit = 1 / getattr(scales, kernel.view) if kernel.relative else 1.0
        linear = kernel.reach is None
        moving = unit * norms if linear else jnp.ones_like(norms)
        found.append(kernel.offset + kernel.amplitude * moving)
    return jnp.stack(found)


def solve_kernels(view: View, scales: Scales, labels: Labels) -> KernelLogistic:
    """Fit a classifier with each of :data:`KERNELS`, stacked along a first axis."""

    def solved(values: Array) -> KernelLogistic:
        return kernel_logistic(values, labels.targets, labels.known, steps=STEPS)

    values = kernel_values(view, view, scales)
    if labels.known.shape[0] <= AT_ONCE:
        return jax.vmap(solved)(values)
    return jax.lax.map(solved, values)


def table_reader(classes: int, *, width: int = 64, row_width: int = 32) -> MetaLearner:
    """Solve a small table by many kernels, and weigh these by how they predict left-out rows.

    Logistic regressions and Gaussian-process classifiers with the kernels of :data:`KERNELS` are
    solved in closed form, each with its prediction of every row from the others. A network reads
    how good and how certain these were, and how large the table is. It gives the weight, the
    temperature and the trust of each kernel. A second network adjusts the weights for each query,
    by how certain the kernels are of it. The mix of them is mixed with the classes' frequencies, by
    as much as labels seem to be noise. Learning from synthetic tables how to predict is the idea of
    prior-fitted networks (Müller et al. 2022, arXiv 2112.10510).

    The order of rows, features and classes changes nothing, nor do features that are 0, nor rows
    whose target is -1: these are not there. The parameters fit any number of all of them.

    Args:
      classes: length of the outputs; those that a support does not hold are as good as impossible.
      width: units of the network that reads the table.
      row_width: units of the network that reads a query.

    Returns:
      A learner of ``inputs[rows, features]`` and ``targets[rows]``, whose outputs are
      log-probabilities, all the same where the support is empty.

    Raises:
      ConfigError: fewer than 1 class.
    """
    kernels = len(KERNELS)
    reader = mlp((width, width), 3 * kernels + 2 + CODE, jax.nn.gelu)
    judge = mlp((row_width,), kernels + 1, jax.nn.gelu)

    def init(key: Key[Array, ""], task: Task) -> Params:
        of_table, of_row = jax.random.split(key)
        return {
            "table": reader.init(of_table, jnp.zeros(STATISTICS * kernels + 5)),
            "row": judge.init(of_row, jnp.zeros(2 * kernels + CODE)),
        }

    def adapt(params: Params, support: Examples, key: Key[Array, ""]) -> Read:
        labels = labels_of(support.targets, classes, support.inputs.dtype)
        known = labels.known
        inputs = jnp.where(known[:, None], support.inputs, 0)
        scales = scales_of(inputs, known)
        view = view_of(inputs, scales)
        view = jax.tree.map(lambda rows: jnp.where(known[:, None], rows, 0), view)
        # solved, not learned: nothing is differentiated through the factorizations
        fits = jax.lax.stop_gradient(solve_kernels(view, scales, labels))
        found = _statistics(fits, labels, scales)
        told = reader.apply(params["table"], found)
        # where nothing is learned yet: what predicts left-out rows best counts most
        losses = found[kernels : 2 * kernels]
        told = told.at[:kernels].add(FIRST_TRUST * (jnp.min(losses) - losses))
        return Read(scales, view, known, fits, labels.prior, told)

    def predict(
        params: Params, read: Read, inputs: Float[Array, "queries features"]
    ) -> Float[Array, "queries classes"]:
        view = view_of(inputs, read.scales)
        cross = kernel_values(view, read.view, read.scales)
        cross = jnp.where(read.known[None, None], cross, 0)
        found = jax.vmap(kernel_logistic_predict)(read.fits, cross, own_values(view, read.scales))
        logits, variances = jax.lax.stop_gradient(found)
        return mix(params, read, logits, variances)

    def mix(
        params: Params,
        read: Read,
        logits: Float[Array, "kernels queries classes"],
        variances: Float[Array, "kernels queries"],
    ) -> Float[Array, "queries classes"]:
        weight, heat, trust, noise, lean, code = jnp.split(
            read.task, [kernels, 2 * kernels, 3 * kernels, 3 * kernels + 1, 3 * kernels + 2]
        )
        present = read.prior > 0
        sure = jnp.log(jnp.max(probabilities(logits, present), axis=-1))
        rows = jnp.concatenate([jnp.log(variances + 0.01), sure]).T
        told = jnp.broadcast_to(code, (rows.shape[0], CODE))
        moved = judge.apply(params["row"], jnp.concatenate([rows, told], axis=1))
        weights = jax.nn.softmax(weight[None] + moved[:, :kernels], axis=1)
        # the mean over a Gaussian logit, of variance v: shrunk by sqrt(1 + pi v / 8)
        shrunk = jax.lax.rsqrt(1 + jnp.pi / 8 * jnp.exp(trust)[:, None] * variances)
        scaled = logits * (jnp.exp(heat)[:, None] * shrunk)[..., None]
        summed = jnp.einsum("qk,kqc->qc", weights, scaled) * jnp.exp(moved[:, -1:])
        log_prior = jnp.log(jnp.where(present, read.prior, 1))
        likely = probabilities(summed + (lean * log_prior)[None], present)
        share = jax.nn.sigmoid(noise - 3)
        likely = (1 - share)[None] * likely + (share * read.prior)[None]
        return jnp.log(jnp.maximum(likely, LEAST))

    return table_learner(init, adapt, predict, classes)


def _statistics(
    fits: KernelLogistic, labels: Labels, scales: Scales
) -> Float[Array, " statistics"]:
    """Return how well each kernel predicts left-out rows, and how large the table is."""
    known, targets, prior = labels
    present, here = prior > 0, known.astype(targets.dtype)
    number = jnp.maximum(jnp.sum(here), 1)

    def mean(values: Float[Array, " rows"]) -> Float[Array, ""]:
        return jnp.sum(values * here) / number

    def loss(likely: Float[Array, "rows classes"]) -> Float[Array, ""]:
        of_target = jnp.sum(likely * targets, axis=1)
        return mean(-jnp.log(jnp.where(known, jnp.maximum(of_target, LEAST), 1)))

    others = jnp.where(present[None], jnp.sum(targets, axis=0)[None] - targets + 0.5, 0)
    by_prior = loss(others / jnp.maximum(jnp.sum(others, axis=1, keepdims=True), LEAST))

    def of_kernel(
        logits: Float[Array, "rows classes"], variances: Float[Array, " rows"]
    ) -> list[Float[Array, ""]]:
        shrunk = jax.lax.rsqrt(1 + jnp.pi / 8 * variances)[:, None] * logits
        losses = [loss(probabilities(heat * shrunk, present)) - by_prior for heat in (0.5, 1, 2)]
        best = jnp.argmax(jnp.where(present[None], shrunk, -jnp.inf), axis=1)
        hits = (best == jnp.argmax(targets, axis=1)).astype(here.dtype)
        return [*losses, mean(hits), 0.3 * mean(jnp.log(variances + 0.01))]

    of_kernels = jnp.stack(jax.vmap(of_kernel)(fits.logits, fits.variances))
    sizes = [
        jnp.log(number),
        jnp.log(jnp.sum(present, dtype=here.dtype)),
        jnp.log(jnp.sum(scales.factor > 0, dtype=here.dtype) + 1),
        by_prior,
        jnp.min(of_kernels[:3]),
    ]
    return jax.lax.stop_gradient(jnp.concatenate([of_kernels.ravel(), jnp.stack(sizes)]))
