"""Measure edits of a frozen generator: how close they come to an image, and what they leave of it.

*Editability*: an image's latent is moved by the difference of two classes' mean latents, from the
image's own class to the next one. The score is the share of images that are then of the class they
were moved to, by the nearest training image. It is measured with the weights that reconstruct the
image: weights that ignore the latent have the least error and no editability.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int32, Key

from metajax.core import Params, optimizer_step, prepare_optimizer
from metajax.hypernet import Edited, edit_pass, no_deltas, render_edited
from metajax.learners import (
    EditedGenerator,
    class_centers,
    edit_functions,
    edited_along,
    encode,
    image_errors,
    mean_squared_error,
    tuned_latent,
    tuned_weights,
)
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Row, interval
from metajax.systems.weights.images.problem import EditImages
from metajax.systems.weights.images.report import counted
from metajax.systems.weights.problem import Problem

PICTURES = 4
"""Images of each kind that are kept as pictures."""

Both = Float[Array, "points n 2 h w c"]
"""Reconstructions, and what the same weights make of moved latents."""


class Group(NamedTuple):
    """Images with their latents.

    Attributes:
      images: to reconstruct.
      latents: of the images.
      moved: the latents, moved to another class.
    """

    images: Float[Array, "n h w c"]
    latents: Float[Array, "n d"]
    moved: Float[Array, "n d"]


class Along(NamedTuple):
    """What was measured of the images of a group.

    Attributes:
      errors: mean squared errors of the reconstructions.
      images: the reconstructions, and the images of moved latents.
    """

    errors: Float[Array, "points n"]
    images: Both


def class_latents(
    parts: EditedGenerator, params: Params, conditions: EditImages
) -> Float[Array, "classes d"]:
    """Return the mean latent of each known class over training images."""
    latents = encode(parts.autoencoder, params, conditions.train)
    return class_centers(latents, conditions.labels, conditions.classes)


@jax.jit
def nearest_class(
    images: Float[Array, "n h w c"], train: Float[Array, "m h w c"], labels: Int32[Array, " m"]
) -> Int32[Array, " n"]:
    """Return the class of the nearest training image: a classifier with nothing to train."""
    asked, known = (x.reshape(len(x), -1) for x in (images, train))
    apart = jnp.sum(jnp.square(known), axis=1)[None] - 2 * asked @ known.T
    return labels[jnp.argmin(apart, axis=1)]


def editability(shown: Float[Array, "n 2 h w c"], conditions: EditImages) -> float:
    """Return the share of images that are of the class that their latents were moved to.

    Args:
      shown: reconstructions of the known images, and what the same weights make of moved latents.
      conditions: with these images.
    """
    classes = nearest_class(shown[:, 1], conditions.train, conditions.labels)
    targets = (np.asarray(conditions.known_labels) + 1) % conditions.classes
    return float(np.mean(np.asarray(classes) == targets))


def by_method(parts: EditedGenerator, params: Params, group: Group, passes: int) -> Both:
    """Return what the method makes of images: by passes, or once if it makes none."""
    both = group.latents, group.moved
    if parts.hypernet is None:
        shown = [parts.learner.predict(params, latents, group.images) for latents in both]
        return jnp.stack(shown, axis=1)[None]
    along = edited_along(
        parts.autoencoder, parts.hypernet, params, group.latents, group.images, passes
    )
    decoder = parts.autoencoder.decoder

    def changed(deltas: Any) -> Array:
        return render_edited(decoder, params["decoder"], group.moved, deltas)

    return jnp.stack([along.images, jax.lax.map(changed, along.deltas)], axis=2)


def by_latents(
    parts: EditedGenerator, params: Params, group: Group, rate: Float[Array, ""], steps: int
) -> Both:
    """Return what tuning the latent of each image makes of it, by steps."""
    decoder, weights = parts.autoencoder.decoder, params["decoder"]

    def one(image: Array, latent: Array, moved: Array) -> Array:
        def note(now: Array) -> Array:
            return decoder.apply(weights, jnp.stack([now, now + moved - latent]))

        return tuned_latent(decoder, weights, latent, image, rate, steps, note)[1]

    return jax.vmap(one, out_axes=1)(*group)


def by_weights(
    parts: EditedGenerator, params: Params, group: Group, rate: Float[Array, ""], steps: int
) -> Both:
    """Return what tuning the weights for each image makes of it, by steps."""
    decoder = parts.autoencoder.decoder

    def one(image: Array, latent: Array, moved: Array) -> Array:
        def note(weights: Params) -> Array:
            return decoder.apply(weights, jnp.stack([latent, moved]))

        return tuned_weights(decoder, params["decoder"], latent, image, rate, steps, note)[1]

    return jax.vmap(one, out_axes=1)(*group)


@functools.partial(jax.jit, static_argnames=("parts", "passes", "steps"))
def measured(
    parts: EditedGenerator,
    params: Params,
    conditions: EditImages,
    latent_rates: Float[Array, " rates"],
    weight_rates: Float[Array, " rates"],
    passes: int,
    steps: int,
) -> dict[str, dict[str, Along]]:
    """Measure a method, and tuning on single images, on known and on unseen classes.

    Tuning takes the best of the rates for each number of steps, by its mean on training images.
    """
    means = class_latents(parts, params, conditions)

    def as_they_are(images: Array) -> Group:
        latents = encode(parts.autoencoder, params, images)
        return Group(images, latents, latents)

    known, unseen, chosen = map(
        as_they_are, (conditions.known, conditions.unseen, conditions.chosen)
    )
    labels = conditions.known_labels
    ways = means[(labels + 1) % conditions.classes] - means[labels]
    groups = {"known": known._replace(moved=known.latents + ways), "unseen": unseen}

    def along(shown: Both, group: Group) -> Along:
        errors = jax.vmap(lambda now: image_errors(now, group.images))(shown[:, :, 0])
        return Along(errors, shown)

    def best_of(by: Callable[..., Both], rates: Array) -> dict[str, Along]:
        def each(group: Group) -> Along:
            return jax.lax.map(
                lambda rate: along(by(parts, params, group, rate, steps), group), rates
            )

        best = jnp.argmin(jnp.mean(each(chosen).errors, axis=2), axis=0)
        at = best, jnp.arange(steps + 1)
        return {
            name: jax.tree.map(lambda leaf: leaf[at], each(group)) for name, group in groups.items()
        }

    tuned = {
        "latents": best_of(by_latents, latent_rates),
        "weights": best_of(by_weights, weight_rates),
    }
    return {
        name: {
            "method": along(by_method(parts, params, group, passes), group),
            **{what: found[name] for what, found in tuned.items()},
        }
        for name, group in groups.items()
    }


def operations(parts: EditedGenerator, conditions: EditImages, params: Params) -> dict[str, float]:
    """Return the operations for one image, as XLA counts them, of each thing that is done.

    ``image``: a reconstruction with weights of its own. ``pass``: a pass, with its reconstruction.
    ``step``: a step of tuning the weights by Adam; ``latent_step``: of tuning the latent.
    """
    decoder, weights = parts.autoencoder.decoder, params["decoder"]
    image = conditions.known[:1]
    latent = encode(parts.autoencoder, params, image)

    def cost(function: Callable[..., Any], *given: Any) -> float:
        counts: Any = jax.jit(function).lower(*given).cost_analysis()
        return float(counts["flops"])

    def step(loss: Callable[[Any], Array], start: Any) -> Any:
        rule = prepare_optimizer(optax.adam(1e-3), has_function=False)
        value, slopes = jax.value_and_grad(loss)(start)
        return optimizer_step(rule, start, rule.init(start), slopes, value=value)

    def of_weights(weights: Params, latent: Array, image: Array) -> Any:
        return step(lambda at: mean_squared_error(decoder.apply(at, latent), image), weights)

    def of_latent(weights: Params, latent: Array, image: Array) -> Any:
        return step(lambda at: mean_squared_error(decoder.apply(weights, at), image), latent)

    found = {
        "image": cost(decoder.apply, weights, latent),
        "step": cost(of_weights, weights, latent, image),
        "latent_step": cost(of_latent, weights, latent, image),
    }
    hypernet = parts.hypernet
    if hypernet is not None:

        def one_pass(params: Params, latent: Array, image: Array, deltas: Any) -> Any:
            editor, render = edit_functions(parts.autoencoder, hypernet, params, latent)
            return edit_pass(editor, render, image, Edited(deltas, image))

        found["pass"] = cost(one_pass, params, latent, image, no_deltas(weights, 1))
    return found


def crossings(
    edits: Float[np.ndarray, " points"], steps: Float[np.ndarray, " steps"], cost: dict[str, float]
) -> list[dict[str, Any]]:
    """Return, for each number of passes, when tuning the weights has as small a mean error.

    Args:
      edits: mean errors after 0, 1, ... passes.
      steps: mean errors after 0, 1, ... steps of tuning.
      cost: operations, from :func:`operations`.

    Returns:
      For each number of passes from 1: the least number of steps, None if there is none, and the
      operations of both, with all reconstructions.
    """
    found = []
    for passes in range(1, len(edits)):
        below = np.flatnonzero(steps <= edits[passes])
        first = int(below[0]) if len(below) else None
        tuning = None if first is None else first * cost["step"] + cost["image"]
        found.append(
            {
                "passes": passes,
                "steps": first,
                "edit_operations": cost["image"] + passes * cost["pass"],
                "tune_operations": tuning,
            }
        )
    return found


TUNED = {"latents": "latent tuned, {}", "weights": "weights tuned, {}"}
"""Titles of baselines, all of which start from the plain reconstruction."""


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the mean squared error of reconstructions; intervals are over images.

    The row ``test`` has held-out images of known classes, by passes if the method makes any;
    ``unseen``, images of classes that nothing was trained on; ``as_trained``, the first after as
    many passes as in training. ``more`` has the editability of each row, the curves of tuning,
    where they reach the edits in steps and in operations, and pictures.
    """
    of, parts, images = problem.settings, method.parts, problem.conditions
    trained = getattr(config, "passes", 0)
    passes, marks = max(of.eval_passes, trained), sorted(set(of.image_steps))
    found = jax.device_get(
        measured(
            parts,
            params,
            images,
            jnp.asarray(of.latent_rates, jnp.float32),
            jnp.asarray(of.weight_rates, jnp.float32),
            passes,
            marks[-1],
        )
    )
    known, unseen = found["known"], found["unseen"]
    baselines = {"encoder": ("plain reconstruction", "latents", 0)}
    baselines |= {
        f"{what}_{at}": (title.format(counted(at, "step")), what, at)
        for what, title in TUNED.items()
        for at in marks
    }

    own = known["method"].errors
    rows = {
        "test": Row(config.method, interval(own.T)),
        "unseen": Row(f"{config.method}, unseen classes", interval(unseen["method"].errors.T)),
        "as_trained": Row(f"{config.method}, as trained", interval(own[trained])),
    }
    editable = {"test": [editability(shown, images) for shown in known["method"].images]}
    for name, (title, what, at) in baselines.items():
        rows[name] = Row(title, interval(known[what].errors[at]), baseline=True)
        score = interval(unseen[what].errors[at])
        title = f"{title}, unseen classes"
        rows[f"{name}_unseen"] = Row(title, score, baseline=True, compared_with="unseen")
        editable[name] = [editability(known[what].images[at], images)]

    cost = operations(parts, images, params)
    more: dict[str, Any] = {
        "editability": editable,
        "curves": {
            name: {what: group[what].errors.mean(1).tolist() for what in TUNED}
            for name, group in found.items()
        },
        "operations": cost,
        "pictures": {
            name: pictures(originals, found[name], trained, marks[-2:])
            for name, originals in (("known", images.known), ("unseen", images.unseen))
        },
    }
    if parts.hypernet is not None:
        more["crossings"] = {
            name: crossings(group["method"].errors.mean(1), group["weights"].errors.mean(1), cost)
            for name, group in found.items()
        }
    return Evaluation(
        metric="mean squared error",
        greatest=False,
        axis="passes",
        points=[float(at) for at in range(len(own))],
        rows=rows,
        more=more,
    )


def pictures(
    images: Float[Array, "n h w c"], group: dict[str, Along], passes: int, steps: Sequence[int]
) -> dict[str, Any]:
    """Return some images and their reconstructions, by column.

    Each is a string of two hexadecimal digits a level, 0 to 255; ``shape`` is that of an image.
    """
    made, plain, tuned = (
        group[what].images[:, :PICTURES, 0] for what in ("method", "latents", "weights")
    )
    shown: dict[str, Any] = {"original": np.asarray(images[:PICTURES]), "plain": plain[0]}
    shown |= {counted(at, "pass"): made[at] for at in range(1, passes + 1)}
    if len(made) == 1:
        shown["method"] = made[0]
    shown |= {f"tuned, {counted(at, 'step')}": tuned[at] for at in steps}
    levels = {
        name: np.rint(255 * np.nan_to_num(now)).astype(np.uint8) for name, now in shown.items()
    }
    columns = {name: [image.tobytes().hex() for image in now] for name, now in levels.items()}
    return {"shape": list(images.shape[1:]), "columns": columns}


@functools.partial(jax.jit, static_argnames="parts")
def errors_now(parts: EditedGenerator, params: Params, images: Array, key: Array) -> Array:
    """Return the mean squared errors of images by what was trained, as it was trained."""
    adapted = parts.learner.adapt(params, images, key)
    return image_errors(parts.learner.predict(params, adapted, images), images)


def on_known_classes(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the mean squared error on held-out images of known classes."""
    found = errors_now(method.parts, params, problem.conditions.known, key)
    return interval(found).last()
