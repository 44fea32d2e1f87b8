"""A generator of images, and what brings it closer to an image: edits of its weights, or steps.

The parameters of all learners here are a dict with ``encoder`` and ``decoder``, the generator's,
and what is trained after these. A task's support is images ``[n, h, w, c]`` with levels between 0
and 1, all of which are reconstructed; nothing else of the task is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key

from metajax.core import (
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_sizes,
    derive,
    follow_of,
)
from metajax.hypernet import (
    Edited,
    edit_pass,
    no_deltas,
    refined,
    render_edited,
)
from metajax.learners.losses import mean_squared_error
from metajax.learners.maml_family import maml
from metajax.nn import Autoencoder, variational_loss

Images = Float[Array, "n h w c"]
Latents = Float[Array, "n d"]


def image_errors(outputs: Images, images: Images) -> Float[Array, " n"]:
    """Return the mean squared error of each image.

    Args:
      outputs: reconstructions.
      images: what they reconstruct.

    Returns:
      An error for each image.
    """
    return jax.vmap(mean_squared_error)(outputs, images)


def image_generator(autoencoder: Autoencoder, noise: float = 1.0) -> MetaLearner:
    """Train a variational autoencoder; its ``adapted`` is the mean latent of each image.

    Args:
      autoencoder: the networks.
      noise: standard deviation of a pixel in its loss, levels.

    Returns:
      The learner.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        encoder = autoencoder.encoder.init(derive(key, "encoder"), task.support)
        latents = encode(autoencoder, {"encoder": encoder}, task.support)
        decoder = autoencoder.decoder.init(derive(key, "decoder"), latents)
        return {"encoder": encoder, "decoder": decoder}

    def adapt(params: Params, support: Images, key: Key[Array, ""]) -> Latents:
        return encode(autoencoder, params, support)

    def predict(params: Params, adapted: Latents, inputs: Any) -> Images:
        return autoencoder.decoder.apply(params["decoder"], adapted)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        encoder, decoder = params["encoder"], params["decoder"]
        return variational_loss(autoencoder, encoder, decoder, task.support, noise, key), {}

    return MetaLearner(init, adapt, predict, loss)


def encode(autoencoder: Autoencoder, params: Params, images: Images) -> Latents:
    """Return the mean latent of each image.

    Args:
      autoencoder: the networks.
      params: with the ``encoder``'s.
      images: to encode.

    Returns:
      A latent for each image.
    """
    return autoencoder.encoder.apply(params["encoder"], images)[0]


def edited_images(
    autoencoder: Autoencoder,
    hypernet: Network,
    params: Params,
    latents: Latents,
    images: Images,
    passes: int | Int32[Array, ""],
) -> Edited:
    """Edit a decoder's weights for each image in so many passes.

    Args:
      autoencoder: the networks of the generator.
      hypernet: from :func:`~metajax.hypernet.edit_hypernetwork`.
      params: of :func:`weight_edits`.
      latents: of the images, such as :func:`encode` gives.
      images: to reconstruct.
      passes: 0 or more; may be traced.

    Returns:
      The deltas, and the reconstructions with them.
    """
    editor, render = edit_functions(autoencoder, hypernet, params, latents)
    start = no_deltas(params["decoder"], len(latents))
    return refined(editor, render, images, start, passes)


def edited_along(
    autoencoder: Autoencoder,
    hypernet: Network,
    params: Params,
    latents: Latents,
    images: Images,
    passes: int,
) -> Edited:
    """Edit a decoder's weights for each image, and keep what each pass gives.

    No gradient runs from a pass to those before, nor to the generator.

    Args:
      autoencoder: the networks of the generator.
      hypernet: from :func:`~metajax.hypernet.edit_hypernetwork`.
      params: of :func:`weight_edits`.
      latents: of the images.
      images: to reconstruct.
      passes: how many.

    Returns:
      The edits after 0 to ``passes`` passes, on a leading axis.
    """
    editor, render = edit_functions(autoencoder, hypernet, params, latents)
    start = no_deltas(params["decoder"], len(latents))

    def one(edited: Edited, number: Any) -> tuple[Edited, Edited]:
        edited = edit_pass(editor, render, images, jax.lax.stop_gradient(edited))
        return edited, edited

    first = Edited(start, render(start))
    later = jax.lax.scan(one, first, None, length=passes)[1]
    return jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), first, later)


def edit_functions(
    autoencoder: Autoencoder, hypernet: Network, params: Params, latents: Latents
) -> tuple[Callable[[Images, Images], Any], Callable[[Any], Images]]:
    """Return what :func:`~metajax.hypernet.edit_pass` takes: the editor, and the decoder.

    Args:
      autoencoder: the networks of the generator.
      hypernet: from :func:`~metajax.hypernet.edit_hypernetwork`.
      params: of :func:`weight_edits`; no gradient runs to the generator.
      latents: of the images.

    Returns:
      ``editor(images, reconstructions) -> deltas`` and ``render(deltas) -> images``.
    """
    decoder, latents = jax.lax.stop_gradient((params["decoder"], latents))

    def editor(images: Images, reconstructions: Images) -> Any:
        return hypernet.apply(params["editor"], images, reconstructions)

    def render(deltas: Any) -> Images:
        return render_edited(autoencoder.decoder, decoder, latents, deltas)

    return editor, render


def weight_edits(autoencoder: Autoencoder, hypernet: Network, *, passes: int) -> MetaLearner:
    """Edit a frozen decoder's weights for each image (HyperStyle; Alaluf et al. 2022, 2111.15666).

    The loss is the mean squared error after each pass, averaged. No gradient runs through the
    passes before, nor to the generator.

    Args:
      autoencoder: the networks of the generator.
      hypernet: from :func:`~metajax.hypernet.edit_hypernetwork`.
      passes: of training, and of ``adapt``; :func:`edited_images` takes any number.

    Returns:
      The learner, with ``editor`` among its parameters. Its ``adapted`` is
      :class:`~metajax.hypernet.Edited`.

    Raises:
      ConfigError: there is no pass.
    """
    check_sizes(passes=passes)

    def init(key: Key[Array, ""], task: Task) -> Params:
        params = image_generator(autoencoder).init(key, task)
        editor = hypernet.init(derive(key, "editor"), task.support, task.support)
        return {**params, "editor": editor}

    def adapt(params: Params, support: Images, key: Key[Array, ""]) -> Edited:
        latents = encode(autoencoder, params, support)
        return edited_images(autoencoder, hypernet, params, latents, support, passes)

    def predict(params: Params, adapted: Edited, inputs: Any) -> Images:
        return adapted.images

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        images = task.support
        latents = encode(autoencoder, params, images)
        along = edited_along(autoencoder, hypernet, params, latents, images, passes)
        each = jax.vmap(lambda found: mean_squared_error(found, images))(along.images[1:])
        return jnp.mean(each), {}

    return MetaLearner(init, adapt, predict, loss)


def shared_edit(autoencoder: Autoencoder) -> MetaLearner:
    """Tune a decoder on all images with the encoder as it is: the baseline that reads no image.

    What is trained is the ``difference`` from the generator's decoder, which stays.

    Args:
      autoencoder: the networks of the generator.

    Returns:
      The learner. Its ``adapted`` is the mean latent of each image.
    """
    generator = image_generator(autoencoder)

    def init(key: Key[Array, ""], task: Task) -> Params:
        params: Any = generator.init(key, task)
        return {**params, "difference": jax.tree.map(jnp.zeros_like, params["decoder"])}

    def predict(params: Params, adapted: Latents, inputs: Any) -> Images:
        still, latents = jax.lax.stop_gradient((params["decoder"], adapted))
        tuned = jax.tree.map(jnp.add, still, params["difference"])
        return autoencoder.decoder.apply(tuned, latents)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        latents = encode(autoencoder, params, task.support)
        return mean_squared_error(predict(params, latents, task.support), task.support), {}

    return MetaLearner(init, generator.adapt, predict, loss)


def tuned_weights(
    decoder: Network,
    params: Params,
    latent: Float[Array, " d"],
    image: Float[Array, "h w c"],
    rate: float | Float[Array, ""],
    steps: int,
    note: Callable[[Params], Any],
) -> tuple[Params, Any]:
    """Tune all weights of a decoder for one image by Adam, at a latent that stays as it is.

    Args:
      decoder: latents to images.
      params: that it starts from.
      latent: of the image.
      image: to reconstruct.
      rate: of Adam; may be traced.
      steps: of Adam.
      note: ``note(weights)`` is kept after 0 to ``steps`` steps.

    Returns:
      The weights, and the notes on a leading axis.
    """
    return _descended(decoder, params, latent[None], image, rate, steps, note)


def tuned_latent(
    decoder: Network,
    params: Params,
    latent: Float[Array, " d"],
    image: Float[Array, "h w c"],
    rate: float | Float[Array, ""],
    steps: int,
    note: Callable[[Float[Array, " d"]], Any],
) -> tuple[Float[Array, " d"], Any]:
    """Tune the latent of one image by Adam, for a decoder that stays as it is.

    Args:
      decoder: latents to images.
      params: of the decoder.
      latent: that it starts from.
      image: to reconstruct.
      rate: of Adam; may be traced.
      steps: of Adam.
      note: ``note(latent)`` is kept after 0 to ``steps`` steps.

    Returns:
      The latent, and the notes on a leading axis.
    """
    swapped = Network(decoder.init, lambda latent, image: decoder.apply(params, latent[None]))
    return _descended(swapped, latent, image[None], image, rate, steps, note)


def _descended(
    network: Network,
    start: Any,
    inputs: Any,
    image: Array,
    rate: Any,
    steps: int,
    note: Callable[[Any], Any],
) -> tuple[Any, Any]:
    """What a network's parameters become by steps on one image, with notes along them."""
    learner = maml(network, mean_squared_error, optax.adam(rate), steps=1)
    support = Examples(inputs, image[None])
    return follow_of(learner)(start, support, jax.random.key(0), steps, note)
