"""Classes from a person's few labeled images or rows, or from a network that knows them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Examples, MetaLearner, Params, described, kind
from metajax.data import shift_and_factor
from metajax.using.adapted import Adapted, adapt_learner, check_number, usual_key
from metajax.using.files import read_classes
from metajax.using.labels import label, read_labeled
from metajax.using.queries import Form, ImageForm, RowForm, check_form
from metajax.using.telling import Told, tell_labels


def _scale(inputs: Float[np.ndarray, "n ..."]) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from inputs, and by what they are multiplied then.

    All pixels of images share one mean and one deviation, as the learner's own images do; each
    feature of rows has its own. What does not vary is 0.
    """
    shift, factor = shift_and_factor(inputs, 0 if inputs.ndim == 2 else None, 1e-6, 1e-30)
    return shift.astype(np.float32), factor.astype(np.float32)


class _State(NamedTuple):
    """What answers queries: arrays alone; ``company`` is the support of learners of sets."""

    params: Any
    adapted: Any
    shift: Float[Array, "*features"]
    factor: Float[Array, "*features"]
    company: Any = None


def _read(inputs: Array, shift: Array, factor: Array) -> Array:
    """Standardize inputs; missing values are means."""
    shift, factor = (jnp.broadcast_to(each, inputs.shape) for each in (shift, factor))
    return jnp.nan_to_num((inputs - shift) * factor, posinf=0.0, neginf=0.0)


@functools.lru_cache(maxsize=64)
def _function(learner: MetaLearner, classes: int, sequence: bool) -> Callable[..., Any]:
    """Return ``function(state, queries) -> probabilities``, the same one for equal arguments."""

    def in_sequence(state: _State, queries: Array) -> Array:
        inputs = queries.reshape(queries.shape[0], -1)[None]
        return learner.predict(state.params, state.adapted, inputs)[0]

    def in_company(state: _State, queries: Array) -> Array:
        # statistics of a batch at hand, which such networks take, are those of the support and the
        # query: those of a query alone would be nothing, those of other queries no part of it
        def one(query: Array) -> Array:
            together = jnp.concatenate([query[None], state.company])
            return learner.predict(state.params, state.adapted, together)[0]

        return jax.lax.map(one, queries)

    def function(state: _State, queries: Array) -> Float[Array, "queries classes"]:
        read = _read(queries, state.shift, state.factor)
        logits = (in_sequence if sequence else in_company)(state, read)
        if logits.shape[1] < classes:
            raise ConfigError("ways", logits.shape[1], f"a learner of {classes} classes or more")
        return jax.nn.softmax(logits[:, :classes].astype(jnp.float32))

    return function


def classes(
    learner: MetaLearner,
    params: Params,
    support: Any,
    form: ImageForm | RowForm,
    *,
    ways: int,
    steps: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Adapted:
    """Adapt a learner to a person's labeled images or rows.

    All pixels are standardized by the mean and the deviation of the support's, each feature of rows
    by its own; missing values are means. A learner of sequences reads the support in random order,
    and each query after it. A learner of sets sees each query together with the support, and
    without the other queries.

    Args:
      learner: its outputs are logits, of ``ways`` classes or more. A learner of sets takes inputs
        ``[examples, h, w, channels]`` or ``[examples, features]``, one of sequences ``[1, examples,
        features]``.
      params: what was trained.
      support: a pair ``(inputs, labels)``. Images are ``uint8`` of any size or of the size of the
        form; labels are whole numbers or text.
      form: the size of the learner's images, or that it takes rows; and whether it reads sequences.
      ways: classes that the learner tells apart; a support may have fewer.
      steps: of a learner that adapts in steps; None: as many as in training.
      key: for what adapting draws; ``jax.random.key(0)`` by default.

    Returns:
      What has adapted; its ``predict`` returns :class:`Labels`.

    Raises:
      ConfigError: the support is not what the learner can learn from, named by the part of it;
        ``learner``, ``form``, ``ways`` or ``key`` is something else; or ``steps`` are asked of a
        learner that takes none.

    Examples:
      >>> import jax
      >>> import metajax as mj
      >>> import numpy as np
      >>> from metajax.learners import prototypical
      >>> from metajax.nn import conv_net
      >>> from sklearn.datasets import load_digits
      >>> digits = load_digits()
      >>> images = (digits.images * (255 / 16)).astype(np.uint8)
      >>> names = np.array(["even", "odd"])[digits.target % 2]
      >>> learner = prototypical(conv_net(None, channels=16, layers=2), ways=2)
      >>> support = mj.Examples(np.zeros((2, 8, 8, 1), np.float32), np.arange(2))
      >>> params = learner.init(jax.random.key(0), mj.Task(support, support))
      >>> form = mj.using.ImageForm((8, 8, 1))
      >>> adapted = mj.using.classes(learner, params, (images[:40], names[:40]), form, ways=2)
      >>> adapted.predict(images[40:43]).probabilities.shape
      (3, 2)
    """
    key = usual_key(key)
    check_form(form)
    check_number("ways", ways)
    encoded, names = read_labeled(support, form.encode, ways)
    shift, factor = _scale(encoded)
    read = _read(jnp.asarray(encoded), jnp.asarray(shift), jnp.asarray(factor))
    targets, company = jnp.asarray(names.places), None
    if form.sequence:
        # sequences of training are in random order: one class after the other is none
        order_key, key = jax.random.split(key)
        order = jax.random.permutation(order_key, len(encoded))
        read = read.reshape(len(encoded), -1)[order][None]
        targets = targets[order][None]
    else:
        company = read
    adapted = adapt_learner(learner, params, Examples(read, targets), key, steps)
    return Adapted(
        _function(learner, len(names.classes), form.sequence),
        _State(params, adapted, jnp.asarray(shift), jnp.asarray(factor), company),
        jax.ShapeDtypeStruct(encoded.shape[1:], jnp.float32),
        functools.partial(form.encode, "inputs"),
        names.label,
    )


def tell_classes(
    adapt: Callable[[Any], Adapted],
    path: str | os.PathLike,
    form: ImageForm | RowForm,
    target: str | None = None,
    line: str = "{examples} labeled examples of {classes} classes; {queries} queries",
) -> Told:
    """Adapt to the labeled images or rows of a file or folder, and answer the others.

    Args:
      adapt: ``adapt(support)``, as :func:`classes` adapts.
      path: file or folder.
      form: how inputs are read.
      target: the column of classes, of a table.
      line: what is printed, with the numbers of examples, classes and queries.

    Returns:
      What is told of it.

    Raises:
      ConfigError: the file or folder holds something else, or nothing is asked.
    """
    given = read_classes(path, form, target)
    adapted = adapt(given.support)
    found = adapted.predict(given.queries)
    said = line.format(
        examples=len(given.support[1]), classes=len(found.classes), queries=len(found.labels)
    )
    return tell_labels(found, given.queries, said, lambda: adapted, names=given.names)


class _Known(NamedTuple):
    """Parameters of a network, and how its inputs are standardized."""

    params: Params
    shift: Float[Array, "*features"]
    factor: Float[Array, "*features"]


@functools.lru_cache(maxsize=64)
def _known(apply: Callable[[Params, Array], Array]) -> Callable[..., Any]:
    """Return ``function(state, queries) -> probabilities``, the same one for equal arguments."""

    def function(state: _Known, queries: Array) -> Float[Array, "queries classes"]:
        inputs = _read(queries.reshape(queries.shape[0], -1), state.shift, state.factor)
        return jax.nn.softmax(apply(state.params, inputs))

    return function


def known_classes(
    apply: Callable[[Params, Float[Array, "n features"]], Float[Array, "n classes"]],
    params: Params,
    form: Form,
    classes: Any,
    *,
    shift: Any = 0.0,
    factor: Any = 1.0,
) -> Adapted:
    """Return what predicts a person's images or rows by a network that knows their classes already.

    Missing values are ``shift``.

    Args:
      apply: ``apply(params, inputs) -> logits``, of flattened inputs.
      params: of the network.
      form: how queries are read: an :class:`ImageForm`, a :class:`RowForm` with its ``features``,
        or something else with their ``query`` and ``encode``.
      classes: the classes' names, in the order of the logits.
      shift: what is taken from inputs, a number or one for each feature; inputs of images are
        levels divided by 255.
      factor: what they are multiplied by then, as ``shift`` is given.

    Returns:
      What is ready to answer; its ``predict`` returns :class:`Labels`.

    Raises:
      ConfigError: ``apply`` is no function, ``form`` is no form, or there are more or fewer
        ``classes`` than logits.

    Examples:
      >>> import jax
      >>> import metajax as mj
      >>> import numpy as np
      >>> network = mj.nn.mlp([8], 2)
      >>> params = network.init(jax.random.key(0), np.zeros((1, 16), np.float32))
      >>> form = mj.using.ImageForm((4, 4, 1))
      >>> ready = mj.using.known_classes(network.apply, params, form, ["cat", "dog"])
      >>> ready.predict(np.zeros((3, 4, 4), np.uint8)).probabilities.shape
      (3, 2)
    """
    check_form(form)
    if not callable(apply):
        raise ConfigError("apply", kind(apply), "a function, such as network.apply")
    function, state = _known(apply), _Known(params, jnp.float32(shift), jnp.float32(factor))
    names, one = np.asarray(classes), form.query
    given = jax.eval_shape(function, state, jax.ShapeDtypeStruct((1, *one.shape), one.dtype))
    if names.shape != given.shape[1:]:
        raise ConfigError(
            "classes", described(names), f"{given.shape[1]} names, one for each logit"
        )
    return Adapted(
        function,
        state,
        one,
        functools.partial(form.encode, "inputs"),
        functools.partial(label, names),
    )
