"""A learner of small tables: many solved classifiers, weighed by how well each predicts left-out rows.

Nothing of it depends on the order of rows, of features or of classes, or on their numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Params,
    Task,
    check_labels,
    checked_learner,
    described,
)
from metajax.nn import mlp
from metajax.nn.kernel_logistic import (
    KernelLogistic,
    kernel_logistic,
    kernel_logistic_predict,
    probabilities,
)

FAR = 4.0
"""Standard deviations at which a value is squashed, so that no row is all that counts."""
BENDS = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Where the bent copies of a standardised feature are centred."""
STEPS = 20
"""Steps of every solve."""
CODE = 16
"""Numbers by which the network of a table tells that of a query what it saw."""
STATISTICS = 5
"""Numbers that say how a kernel did."""
LEAST = 1e-9
"""No probability is smaller: a class that is absent has this one."""
AT_ONCE = 512
"""Rows up to which all kernels are solved as one batch; beyond, one after the other."""


class View(NamedTuple):
    """Rows as vectors, what a kernel sees of a table.

    Attributes:
      plain: standardised features.
      bent: of each feature a few smooth steps: sums over these are sums of functions of one feature.
    """

    plain: Float[Array, "rows features"]
    bent: Float[Array, "rows more"]


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


class Scales(NamedTuple):
    """How a table is standardised, by its known rows alone; 0 for a column that does not vary."""

    mean: Float[Array, " features"]
    factor: Float[Array, " features"]
    plain: Float[Array, ""]
    bent: Float[Array, ""]


class Read(NamedTuple):
    """What is kept of a support.

    Attributes:
      scales: how features are standardised.
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


def scales_of(inputs: Float[Array, "rows features"], known: Bool[Array, " rows"]) -> Scales:
    """Return how to standardise a table by its known rows."""
    here = known.astype(inputs.dtype)[:, None]
    number = jnp.maximum(jnp.sum(here), 1)
    mean = jnp.sum(inputs * here, axis=0) / number
    square = jnp.sum(here * (inputs - mean) ** 2, axis=0) / number
    varies = square > 1e-10 * mean**2 + 1e-20
    factor = jnp.where(varies, jax.lax.rsqrt(jnp.where(varies, square, 1)), 0)
    one = jnp.ones((), inputs.dtype)
    view = view_of(inputs, Scales(mean, factor, one, one))

    def mean_square(rows):
        return jnp.maximum(jnp.sum(rows**2 * here) / number, 1e-6)

    return Scales(mean, factor, mean_square(view.plain), mean_square(view.bent))


def view_of(inputs: Float[Array, "rows features"], scales: Scales) -> View:
    """Standardise rows."""
    plain = FAR * jnp.tanh((inputs - scales.mean) * scales.factor / FAR)
    bends = jnp.asarray(BENDS, plain.dtype)
    # a column that does not vary is 0 here, and adds nothing to any inner product
    bent = jnp.tanh(2 * (plain[..., None] - bends)) + jnp.tanh(2 * bends)
    return View(plain, bent.reshape(plain.shape[0], -1))


def kernel_values(kernel: Kernel, left: View, right: View, scales: Scales) -> Array:
    """Return a kernel's values between rows of two views."""
    x, y = getattr(left, kernel.view), getattr(right, kernel.view)
    scale = getattr(scales, kernel.view)
    if kernel.reach is None:
        unit = 1 / scale if kernel.relative else 1.0
        return kernel.offset + kernel.amplitude * unit * (x @ y.T)
    squares = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None] - 2 * (x @ y.T)
    return kernel.offset + kernel.amplitude * jnp.exp(
        -jnp.maximum(squares, 0) / (kernel.reach * scale)
    )


def own_values(kernel: Kernel, view: View, scales: Scales) -> Float[Array, " rows"]:
    """Return a kernel's values of rows with themselves."""
    x = getattr(view, kernel.view)
    if kernel.reach is not None:
        return jnp.full(x.shape[:1], kernel.offset + kernel.amplitude, x.dtype)
    unit = 1 / getattr(scales, kernel.view) if kernel.relative else 1.0
    return kernel.offset + kernel.amplitude * unit * jnp.sum(x**2, axis=1)


def solve_kernels(
    view: View, scales: Scales, targets: Float[Array, "rows classes"], known: Bool[Array, " rows"]
) -> KernelLogistic:
    """Fit a classifier with each of :data:`KERNELS`, stacked along a first axis."""

    def solved(values: Array) -> KernelLogistic:
        return kernel_logistic(values, targets, known, steps=STEPS)

    if known.shape[0] <= AT_ONCE:
        return jax.vmap(solved)(
            jnp.stack([kernel_values(kernel, view, view, scales) for kernel in KERNELS])
        )
    fits = [solved(kernel_values(kernel, view, view, scales)) for kernel in KERNELS]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *fits)


def table_reader(classes: int, *, width: int = 64, row_width: int = 32) -> MetaLearner:
    """Read a small table: solve it by many kernels, and weigh these by how they predict left-out rows.

    Logistic regressions and Gaussian-process classifiers with the kernels of :data:`KERNELS` are
    solved in closed form, each with its prediction of every row from the others. A network reads how
    good and how sure these were, and how large the table is, and answers with the weight, the
    temperature and the trust in each; a second one moves these by query, by how sure the kernels are of it.
    What comes out is mixed with the classes' frequencies, by as much as labels seem to be
    noise. The idea of learning how to predict from synthetic tables is that of prior-fitted networks
    (Müller et al. 2022, arXiv 2112.10510).

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
    if classes < 1:
        raise ConfigError("classes", classes, "1 or more")
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
        known = support.targets >= 0
        inputs = jnp.where(known[:, None], support.inputs, 0)
        targets = jax.nn.one_hot(support.targets, classes, dtype=inputs.dtype)
        counts = jnp.sum(targets, axis=0)
        number = jnp.sum(counts)
        present = (counts > 0) | (number == 0)
        prior = (counts + 0.5) / (number + 0.5 * jnp.sum(present)) * present
        scales = scales_of(inputs, known)
        view = jax.tree.map(lambda rows: rows * known[:, None], view_of(inputs, scales))
        # solved, not learned: nothing is differentiated through the factorisations
        fits = jax.lax.stop_gradient(solve_kernels(view, scales, targets, known))
        found = _statistics(fits, targets, known, prior, scales)
        return Read(scales, view, known, fits, prior, reader.apply(params["table"], found))

    def predict(
        params: Params, read: Read, inputs: Float[Array, "queries features"]
    ) -> Float[Array, "queries classes"]:
        view = view_of(inputs, read.scales)
        found = []
        for index, kernel in enumerate(KERNELS):
            fit = jax.tree.map(lambda leaf, index=index: leaf[index], read.fits)
            cross = kernel_values(kernel, view, read.view, read.scales) * read.known
            own = own_values(kernel, view, read.scales)
            found.append(kernel_logistic_predict(fit, cross, own))
        logits = jax.lax.stop_gradient(jnp.stack([one[0] for one in found]))
        variances = jax.lax.stop_gradient(jnp.stack([one[1] for one in found]))
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
        weights = jax.nn.softmax(weight + moved[:, :kernels], axis=1)
        # the mean over a Gaussian logit, of variance v: shrunk by sqrt(1 + pi v / 8)
        shrunk = jax.lax.rsqrt(1 + jnp.pi / 8 * jnp.exp(trust)[:, None] * variances)
        scaled = logits * (jnp.exp(heat)[:, None] * shrunk)[..., None]
        summed = jnp.einsum("qk,kqc->qc", weights, scaled) * jnp.exp(moved[:, -1:])
        log_prior = jnp.log(jnp.where(present, read.prior, 1))
        likely = probabilities(summed + lean * log_prior, present)
        share = jax.nn.sigmoid(noise - 3)
        return jnp.log(jnp.maximum((1 - share) * likely + share * read.prior, LEAST))

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        outputs = predict(params, adapt(params, task.support, key), task.query.inputs)
        targets = task.query.targets
        asked = (targets >= 0).astype(outputs.dtype)
        number = jnp.maximum(jnp.sum(asked), 1)
        losses = -jnp.take_along_axis(outputs, jnp.maximum(targets, 0)[:, None], axis=1)[:, 0]
        hit = jnp.argmax(outputs, axis=1) == targets
        value = jnp.sum(losses * asked) / number
        return value, {"query_loss": value, "accuracy": jnp.sum(hit * asked) / number}

    return checked_learner(MetaLearner(init, adapt, predict, loss), _check(classes))


def _statistics(
    fits: KernelLogistic,
    targets: Float[Array, "rows classes"],
    known: Bool[Array, " rows"],
    prior: Float[Array, " classes"],
    scales: Scales,
) -> Float[Array, " statistics"]:
    """Return how well each kernel predicts left-out rows, and how large the table is."""
    present, here = prior > 0, known.astype(targets.dtype)
    number = jnp.maximum(jnp.sum(here), 1)

    def mean(values: Float[Array, "... rows"]) -> Float[Array, "..."]:
        return jnp.sum(values * here, axis=-1) / number

    def loss(likely: Float[Array, "... rows classes"]) -> Float[Array, "..."]:
        of_target = jnp.sum(likely * targets, axis=-1)
        return mean(-jnp.log(jnp.where(known, jnp.maximum(of_target, LEAST), 1)))

    counts = jnp.sum(targets, axis=0)
    others = (counts[None] - targets + 0.5) * present
    by_prior = loss(others / jnp.maximum(jnp.sum(others, axis=1, keepdims=True), LEAST))
    shrunk = jax.lax.rsqrt(1 + jnp.pi / 8 * fits.variances)[..., None] * fits.logits
    losses = [loss(probabilities(heat * shrunk, present)) - by_prior for heat in (0.5, 1.0, 2.0)]
    hits = jnp.argmax(jnp.where(present, shrunk, -jnp.inf), axis=-1) == jnp.argmax(targets, axis=-1)
    varied = mean(jnp.log(fits.variances + 0.01))
    features = jnp.sum(scales.factor > 0)
    sizes = [
        jnp.log(number),
        jnp.log(jnp.sum(present) + 0.0),
        jnp.log(features + 1.0),
        by_prior,
        jnp.min(jnp.stack(losses)),
    ]
    of_kernels = jnp.concatenate([*losses, mean(hits.astype(here.dtype)), 0.3 * varied])
    return jax.lax.stop_gradient(jnp.concatenate([of_kernels, jnp.stack(sizes)]))


def _check(classes: int):
    """Return what else has to hold of a support or a query."""

    def check(field: str, examples: Examples) -> None:
        inputs = examples.inputs
        if not isinstance(inputs, jax.Array) or inputs.ndim != 2:
            raise ConfigError(f"{field}.inputs", described(inputs), "features [rows, features]")
        if not jnp.issubdtype(inputs.dtype, jnp.floating):
            raise ConfigError(f"{field}.inputs", described(inputs), "floating-point features")
        # -1 is a row that is not there
        targets = jnp.where(examples.targets == -1, 0, examples.targets)
        check_labels(f"{field}.targets", targets, classes)

    return check
