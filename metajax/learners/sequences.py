"""Sequence learners: each reads labeled examples and predicts the next label.

All of them share one contract, :class:`SequenceLearner`, so that they are trained by the same
loss and scored on the very same sequences.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Integer, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    SequenceNetwork,
    Task,
    accuracy,
    as_arrays,
    as_examples,
    check_labels,
    check_optimizer,
    checked_learner,
    checked_network,
    cross_entropy,
    described,
)
from metajax.learners.idle import not_adapted
from metajax.learners.losses import one_hot
from metajax.nn import KVCache


class SequenceLearner(NamedTuple):
    """A meta-learner over sequences of examples.

    Attributes:
      meta: the learner as every loop and every evaluation knows it.
      logits: ``logits(params, examples, key) -> [sequences, length, classes]``: the prediction
        for example ``i`` given examples ``0 .. i - 1`` and the input of ``i``, at every ``i``.
    """

    meta: MetaLearner
    logits: Callable[[Params, Examples, Key[Array, ""]], Float[Array, "sequences length classes"]]


def whole_sequence(task: Task) -> Examples:
    """Return support and query as one sequence ``[sequences, length, ...]``.

    Args:
      task: support and query ``[sequences, length, ...]``.
    """

    def join(s, q):
        return jnp.concatenate([s, q], axis=1)

    return jax.tree.map(join, task.support, task.query)


def check_sequences(field: str, examples: Examples, num_classes: int | None = None) -> None:
    """Raise where inputs are not ``float[sequences, examples, features]``, or targets no labels.

    Raises:
      ConfigError: they are not, or a known label is not one of ``num_classes``.
    """
    inputs = examples.inputs
    is_array = isinstance(inputs, jax.Array)
    if not is_array or inputs.ndim != 3 or not jnp.issubdtype(inputs.dtype, jnp.floating):
        raise ConfigError(
            f"{field}.inputs",
            described(inputs),
            "floating-point features [sequences, examples, features], of images all their pixels",
        )
    if num_classes is not None:
        check_labels(f"{field}.targets", examples.targets, num_classes, axes=2)


def sequence_learner(
    init: Callable,
    adapt: Callable,
    predict: Callable,
    logits: Callable,
    num_classes: int | None = None,
    loss: Callable | None = None,
) -> SequenceLearner:
    """Make a learner that is trained by the mean cross-entropy at every position of a sequence.

    All functions check what they are called with; labels too, where ``num_classes`` is known.

    Args:
      init: ``init(key, task) -> params``.
      adapt: ``adapt(params, support, key) -> adapted``, of a prefix of the sequence.
      predict: ``predict(params, adapted, inputs) -> logits``, for inputs that follow the prefix.
      logits: ``logits(params, examples, key)``, the same at every position of a whole sequence.
      num_classes: of the labels; None: as many as the logits have.
      loss: ``loss(params, task, key) -> (loss, metrics)``; None: the mean cross-entropy.

    Returns:
      The learner.

    Raises:
      ConfigError: from its functions, for what is no task or does not fit.
    """
    check = functools.partial(check_sequences, num_classes=num_classes)
    options: dict[str, Any] = {"axes": 2, "may_be_empty": True}

    def whole_logits(params: Params, examples: Examples, key: Key[Array, ""]):
        examples = as_examples("examples", examples, **options)
        check("examples", examples)
        return logits(params, examples, key)

    def mean_loss(params: Params, task: Task, key: Key[Array, ""]):
        examples = whole_sequence(task)
        predicted = logits(params, examples, key).astype(jnp.float32)
        check_labels("targets", examples.targets, predicted.shape[-1], axes=2)
        right = accuracy(predicted, examples.targets)
        return cross_entropy(predicted, examples.targets), {"accuracy": right}

    learner = checked_learner(
        MetaLearner(init, adapt, predict, loss or mean_loss), check, **options
    )

    def checked_predict(params: Params, adapted: Any, inputs: Any):
        return learner.predict(params, adapted, _queries(inputs))

    return SequenceLearner(learner._replace(predict=checked_predict), whole_logits)


def _queries(inputs: Any) -> Float[Array, "sequences query features"]:
    inputs = as_arrays("inputs", inputs)
    check_sequences("query", Examples(inputs, None))
    return inputs


Stream = Callable[[Params, Float[Array, "s n f"], Float[Array, "s n c"]], Float[Array, "s n c"]]
"""``stream(params, inputs, labels) -> logits``, at each position from the labels before it."""


def predict_after(stream: Stream, num_classes: int) -> Callable[..., Float[Array, "s q c"]]:
    """Return the ``predict`` of a function of whole sequences, each query the next of a sequence.

    Args:
      stream: of one-hot labels.
      num_classes: targets are 0 to ``num_classes - 1``.

    Returns:
      ``predict(params, examples, inputs) -> logits``: all is read again for every query.
    """

    def predict(params: Params, adapted: Examples, inputs: Float[Array, "s q f"]):
        labels = one_hot(adapted.targets, num_classes, inputs.dtype)
        blank = jnp.zeros((labels.shape[0], 1, num_classes), labels.dtype)
        read = jnp.concatenate([labels, blank], axis=1)

        def one(query: Float[Array, "s f"]) -> Float[Array, "s c"]:
            sequence = jnp.concatenate([adapted.inputs, query[:, None]], axis=1)
            return stream(params, sequence, read)[:, -1]

        return jax.vmap(one, in_axes=1, out_axes=1)(inputs)

    return predict


class Read(NamedTuple):
    """A sequence network's state after the support, and the label that it has yet to be told."""

    state: Any
    last_label: Float[Array, "sequences classes"]


def in_context(
    network: SequenceNetwork, num_classes: int, *, label_scale: float = 1.0
) -> SequenceLearner:
    """Learn by reading: token ``i`` is ``concat(x_i, onehot(y_{i-1}))``, zeros for the first.

    The one-hot label is multiplied by ``label_scale``. At the paper's 1 a label carries
    ``1 / features`` of a token's power when the network is new, and the loss plateau is long; at
    ``sqrt(features)`` image and label carry the same.

    ``adapt`` prefills the network's state (a Transformer's key-value cache, an LSTM's cell) and
    ``predict`` decodes one step for each query, from the same state (arXiv 2212.04458, eq. 1).

    Args:
      network: of token sequences, with ``num_classes`` outputs.
      num_classes: classes of a task.
      label_scale: factor of the one-hot labels.

    Returns:
      The learner.

    Raises:
      ConfigError: ``network`` is none.
    """
    network = checked_network(network)

    def scaled_rows(labels: Integer[Array, "..."], dtype: Any) -> Float[Array, "... classes"]:
        # a traced label that is no class is not taken for an example without one
        is_class = (labels >= 0) & (labels < num_classes)
        rows = jax.nn.one_hot(labels, num_classes, dtype=dtype)
        return label_scale * jnp.where(is_class[..., None], rows, jnp.nan)

    def tokens_of(examples: Examples) -> Float[Array, "sequences length features"]:
        labels = scaled_rows(examples.targets, examples.inputs.dtype)
        before = jnp.concatenate([jnp.zeros_like(labels[:, :1]), labels[:, :-1]], axis=1)
        return jnp.concatenate([examples.inputs, before], axis=-1)

    def init(key, task: Task) -> Params:
        return network.init(key, tokens_of(whole_sequence(task)))

    def adapt(params: Params, support: Examples, key) -> Read:
        sequences, length = support.targets.shape
        labels = scaled_rows(support.targets, support.inputs.dtype)
        last = labels[:, -1] if length else jnp.zeros((sequences, num_classes), labels.dtype)
        state = network.prefill(params, tokens_of(support))
        if isinstance(state, KVCache) and length >= (slots := state.keys[0].shape[-2]):
            raise ConfigError(
                "support",
                f"{length} examples a sequence",
                f"fewer than the network's max_length = {slots}: a query takes a place too",
            )
        return Read(state, last)

    def predict(params: Params, adapted: Read, inputs: Float[Array, "sequences query features"]):
        def one(query: Float[Array, "sequences features"]):
            token = jnp.concatenate([query, adapted.last_label], axis=-1)
            return network.decode(params, adapted.state, token)[0]

        return jax.vmap(one, in_axes=1, out_axes=1)(inputs)

    def logits(params: Params, examples: Examples, key):
        return network.apply(params, tokens_of(examples))

    return sequence_learner(init, adapt, predict, logits, num_classes)


def context_free(network: Network) -> SequenceLearner:
    """Predict each label from its input alone: the network of the memorization figure.

    Args:
      network: of one input.

    Returns:
      The learner.
    """
    network = checked_network(network)

    def init(key, task: Task) -> Params:
        return network.init(key, task.query.inputs)

    return sequence_learner(
        init,
        adapt=not_adapted,
        predict=lambda params, adapted, inputs: network.apply(params, inputs),
        logits=lambda params, examples, key: network.apply(params, examples.inputs),
    )


def online_sgd(
    network: Network, optimizer: optax.GradientTransformation, *, learned_init: bool
) -> SequenceLearner:
    """Learn by descending: one optimizer step on each example in turn, scored before each step.

    With ``learned_init`` every sequence starts from the meta-parameters, and the loss
    differentiates through all its updates (the MAML baseline of arXiv 2212.04458). Without it, each
    sequence starts from newly drawn weights (the SGD baseline), and the meta-parameters only give
    their shapes.

    Args:
      network: of one input, with logits as outputs.
      optimizer: of the steps.
      learned_init: meta-train where sequences start.

    Returns:
      The learner.

    Raises:
      ConfigError: there is no network or no optimizer.
    """
    network = checked_network(network)
    check_optimizer(optimizer)

    def init(key, task: Task) -> Params:
        return network.init(key, task.query.inputs[0, 0])

    def starts(params: Params, num: int, inputs, key) -> Params:
        if learned_init:
            return jax.tree.map(lambda p: jnp.broadcast_to(p[None], (num, *p.shape)), params)
        return jax.vmap(lambda k: network.init(k, inputs))(jax.random.split(key, num))

    def step(carry, example):
        weights, opt_state = carry

        def loss_of(weights):
            predicted = network.apply(weights, example.inputs)
            loss = optax.softmax_cross_entropy_with_integer_labels(
                predicted.astype(jnp.float32), example.targets
            )
            return loss, predicted

        grads, predicted = jax.grad(loss_of, has_aux=True)(weights)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes inside
            updates, opt_state = optimizer.update(grads, opt_state, weights)
        return (optax.apply_updates(weights, updates), opt_state), predicted

    def learn(weights: Params, examples: Examples):
        (weights, _), predicted = jax.lax.scan(step, (weights, optimizer.init(weights)), examples)
        return weights, predicted

    def adapt(params: Params, support: Examples, key) -> Params:
        # the support may be empty
        blank = jnp.zeros(support.inputs.shape[-1], support.inputs.dtype)
        classes = jax.eval_shape(network.apply, params, blank).shape[-1]
        check_labels("support.targets", support.targets, classes, axes=2)
        num = support.targets.shape[0]
        weights = starts(params, num, blank, key)
        return jax.vmap(learn)(weights, support)[0] if support.targets.shape[1] else weights

    def predict(params: Params, adapted: Params, inputs):
        return jax.vmap(network.apply)(adapted, inputs)

    def logits(params: Params, examples: Examples, key):
        weights = starts(params, examples.targets.shape[0], examples.inputs[0, 0], key)
        return jax.vmap(learn)(weights, examples)[1]

    return sequence_learner(init, adapt, predict, logits)


def online_adam(
    network: Network, learning_rate: float | Float[Array, ""], *, learned_init: bool
) -> SequenceLearner:
    """Learn by descending with Adam: :func:`online_sgd`, in which it can be differentiated through.

    Args:
      network: of one input, with logits as outputs.
      learning_rate: of Adam within a sequence; may be traced.
      learned_init: meta-train where sequences start.

    Returns:
      The learner.

    Raises:
      ConfigError: there is no network.
    """
    # without eps_root the root of a zero second moment (a ReLU that was off) has an infinite
    # derivative
    return online_sgd(network, optax.adam(learning_rate, eps_root=1e-12), learned_init=learned_init)


def nearest_neighbour(num_classes: int) -> SequenceLearner:
    """Give each query the label of its nearest example so far; nothing is meta-trained.

    The logit of a class is minus the squared distance to its nearest example, or a number below
    all of these where none has been seen.

    Args:
      num_classes: classes of a task.

    Returns:
      The learner, which has no parameters.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.core import Examples
      >>> from metajax.learners import nearest_neighbour
      >>> learner = nearest_neighbour(2)
      >>> support = Examples(jnp.array([[[0.0], [1.0]]]), jnp.array([[0, 1]]))
      >>> memory = learner.meta.adapt(None, support, jax.random.key(0))
      >>> learner.meta.predict(None, memory, jnp.array([[[0.9], [0.2]]])).argmax(-1)
      Array([[1, 0]], dtype=int32)
    """
    unseen = -1e30

    def class_logits(
        inputs: Float[Array, "s q f"], support: Examples, visible: Float[Array, "q n"]
    ) -> Float[Array, "s q classes"]:
        def squares(x):
            return jnp.sum(jnp.square(x), axis=-1)

        distances = (
            squares(inputs)[:, :, None]
            + squares(support.inputs)[:, None, :]
            - 2 * jnp.einsum("sqf,snf->sqn", inputs, support.inputs)
        )
        labels = jax.nn.one_hot(support.targets, num_classes, dtype=bool)
        counts = visible[None, :, :, None] & labels[:, None]
        return jnp.max(jnp.where(counts, -distances[..., None], unseen), axis=2, initial=unseen)

    return by_examples(class_logits, num_classes)


def by_examples(
    logits: Callable[[Array, Examples, Bool[Array, "q n"]], Float[Array, "s q classes"]],
    num_classes: int,
) -> SequenceLearner:
    """Make a learner without parameters that compares inputs with the examples before them.

    Args:
      logits: ``logits(inputs, examples, visible)`` of queries ``[s, q]``, by those of ``n``
        examples that each may see.
      num_classes: classes of a task.

    Returns:
      The learner, whose ``adapted`` is the support.
    """

    def predict(params: Params, adapted: Examples, inputs: Any) -> Float[Array, "s q classes"]:
        queries, known = inputs.shape[1], adapted.targets.shape[1]
        return logits(inputs, adapted, jnp.ones((queries, known), bool))

    def of_sequence(params: Params, examples: Examples, key: Any) -> Float[Array, "s n classes"]:
        length = examples.targets.shape[1]
        return logits(examples.inputs, examples, jnp.tril(jnp.ones((length, length), bool), -1))

    return sequence_learner(
        init=lambda key, task: {},
        adapt=lambda params, support, key: support,
        predict=predict,
        logits=of_sequence,
        num_classes=num_classes,
    )
