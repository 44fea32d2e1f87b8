"""Experts of domains, and students that adapt to a new domain without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from metajax.bilevel import descend
from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    checked_learner,
    cross_entropy,
)
from metajax.data import DomainInputs
from metajax.learners.context_parameters import concatenated
from metajax.learners.idle import not_adapted
from metajax.learners.inner import gradient_learner
from metajax.learners.losses import loss_and_metrics
from metajax.learners.stages import Stage


class FeatureNetwork(NamedTuple):
    """A classifier in two parts; parameters are a dictionary of the parts' own.

    Attributes:
      features: inputs to features.
      head: features to logits.
    """

    features: Network
    head: Network

    def init(self, key: Key[Array, ""], inputs: Float[Array, "n inputs"]) -> Params:
        """Draw first parameters.

        Args:
          key: of the draw.
          inputs: any, for their shape.
        """
        first, second = jax.random.split(key)
        features = self.features.init(first, inputs)
        like = jnp.zeros_like(self.features.apply(features, inputs))
        return {"features": features, "head": self.head.init(second, like)}

    def apply(self, params: Params, inputs: Float[Array, "n inputs"]) -> Float[Array, "n ways"]:
        """Return the logits.

        Args:
          params: of both parts.
          inputs: what is classified.
        """
        return self.head.apply(params["head"], self.features.apply(params["features"], inputs))


class DistilledParams(NamedTuple):
    """Meta-parameters of :class:`DistilledExperts`.

    Attributes:
      experts: of all experts, on a leading axis.
      aggregator: of the network that combines the experts' features.
      teacher_head: of the classifier on the aggregator's output, for its training.
      student: of the network that adapts.
    """

    experts: Params
    aggregator: Params
    teacher_head: Params
    student: Params


def whole(task: Task) -> Examples:
    """Return the support and the query of a task together, for training on all labels."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), task.support, task.query)


def pooled_training(network: FeatureNetwork) -> MetaLearner:
    """Train one network on the images of all domains: the baseline that does not adapt (ERM).

    It is trained on the labels of supports and of queries.

    Args:
      network: images to logits.

    Returns:
      The learner; ``adapted`` is empty.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        return network.init(key, task.support.inputs.images)

    def predict(params: Params, adapted: Any, inputs: DomainInputs) -> Array:
        return network.apply(params, inputs.images)

    return unadapted(init, predict)


def unadapted(init: Any, predict: Any) -> MetaLearner:
    """Return the learner of a network that does not adapt, trained on all labels of a task."""

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        examples = whole(task)
        outputs = predict(params, (), examples.inputs)
        return loss_and_metrics(cross_entropy, outputs, examples.targets)

    learner = MetaLearner(init, not_adapted, predict, loss)
    return checked_learner(learner, inputs=DomainInputs)


def context_student(network: Network, encoder: Network) -> MetaLearner:
    """Condition a network on the mean code of the support (ARM; Zhang et al., arXiv 2007.02931).

    It reads the unlabeled images of the support, in one pass and without a gradient: ARM-CML.

    Args:
      network: images, each with the code appended, to logits.
      encoder: images to codes.

    Returns:
      The learner; ``adapted`` is the code.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        first, second = jax.random.split(key)
        images = task.support.inputs.images
        codes = encoder.init(first, images)
        code = jnp.zeros_like(encoder.apply(codes, images)[0])
        return {"encoder": codes, "network": network.init(second, *concatenated(code, images))}

    def adapt(params: Params, support: Examples, key: Key[Array, ""]) -> Array:
        return jnp.mean(encoder.apply(params["encoder"], support.inputs.images), axis=0)

    def predict(params: Params, code: Array, inputs: DomainInputs) -> Array:
        return network.apply(params["network"], *concatenated(code, inputs.images))

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        outputs = predict(params, adapt(params, task.support, key), task.query.inputs)
        return loss_and_metrics(cross_entropy, outputs, task.query.targets)

    return checked_learner(MetaLearner(init, adapt, predict, loss), inputs=DomainInputs)


class Experts(NamedTuple):
    """Networks of one shape, each trained on the images of its own domain alone.

    Attributes:
      network: of an expert.
      number: how many there are.
    """

    network: FeatureNetwork
    number: int

    def init(self, key: Key[Array, ""], images: Float[Array, "n inputs"]) -> Params:
        """Draw the first parameters of each, on a leading axis.

        Args:
          key: of the draws.
          images: any, for their shape.
        """
        return jax.vmap(self.network.init, (0, None))(jax.random.split(key, self.number), images)

    def features(
        self, params: Params, images: Float[Array, "n inputs"]
    ) -> Float[Array, "n experts features"]:
        """Return every expert's features of every image.

        Args:
          params: of all experts.
          images: any.
        """
        return jax.vmap(self.network.features.apply, (0, None), 1)(params["features"], images)

    def present(self, inputs: DomainInputs) -> Bool[Array, "n experts"]:
        """Return which experts may see each image: all but the one trained on its domain.

        Args:
          inputs: images with their domain.
        """
        return jnp.arange(self.number, dtype=jnp.int32)[None] != inputs.own[:, None]

    def own_loss(self, params: Params, examples: Examples) -> Any:
        """Return the loss of the expert whose domain the examples are of, and its metrics.

        Args:
          params: of all experts.
          examples: of one source domain.
        """
        one = jax.tree.map(lambda leaf: leaf[examples.inputs.own[0]], params)
        logits = self.network.apply(one, examples.inputs.images)
        return loss_and_metrics(cross_entropy, logits, examples.targets)


def expert_vote(experts: Experts, voters: Literal["all", "nearest"]) -> MetaLearner:
    """Average the probabilities of experts: a baseline without a student.

    Args:
      experts: each is trained on its own domain.
      voters: ``all`` but the one trained on the domain at hand, or the two of the ``nearest``
        domains, which an oracle knows.

    Returns:
      The learner; outputs are log-probabilities.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        return experts.init(key, task.support.inputs.images)

    def predict(params: Params, adapted: Any, inputs: DomainInputs) -> Array:
        logits = jax.vmap(experts.network.apply, (0, None), 1)(params, inputs.images)
        chosen = experts.present(inputs)
        if voters == "nearest":
            places = jnp.arange(experts.number, dtype=jnp.int32)[None, None]
            chosen = jnp.any(inputs.nearest[:, :, None] == places, axis=1)
        logs = jnp.where(chosen[..., None], jax.nn.log_softmax(logits), -jnp.inf)
        number = jnp.sum(chosen, axis=1, keepdims=True).astype(logs.dtype)
        return jax.nn.logsumexp(logs, axis=1) - jnp.log(number)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        return experts.own_loss(params, whole(task))

    learner = MetaLearner(init, not_adapted, predict, loss)
    return checked_learner(learner, inputs=DomainInputs)


class DistilledExperts(NamedTuple):
    """Experts, an aggregator of their features, and a student (Meta-DMoE, arXiv 2210.03885).

    The expert of a task's own domain is left out: the domain counts as unseen. The experts' weights
    are trained by :meth:`separately` alone. All three learners have the same parameters,
    :class:`DistilledParams`, and are stages for :func:`metajax.learners.in_stages`.

    Attributes:
      experts: one for each source domain.
      aggregator: ``(features[n, experts, size], present[n, experts]) -> [n, student's features]``,
        such as :func:`metajax.nn.token_set_encoder`.
      student: the network that adapts; a second head of the same shape classifies what the
        aggregator makes.
      imitate: factor of the student's distance from the aggregator, see :meth:`distance`, in the
        stage of the aggregator. The paper has 0.
    """

    experts: Experts
    aggregator: Network
    student: FeatureNetwork
    imitate: float | Float[Array, ""] = 0.0

    def init(self, key: Key[Array, ""], task: Task) -> DistilledParams:
        """Draw first parameters.

        Args:
          key: of the draws.
          task: for the shapes.

        Raises:
          ConfigError: the aggregator's outputs are not the student's features in number.
        """
        images = task.support.inputs.images
        keys = jax.random.split(key, 4)
        experts = self.experts.init(keys[0], images)
        tokens = self.experts.features(experts, images)
        present = self.experts.present(task.support.inputs)
        aggregator = self.aggregator.init(keys[1], tokens, present)
        goal = self.aggregator.apply(aggregator, tokens, present)
        student = self.student.init(keys[2], images)
        found = self.student.features.apply(student["features"], images)
        if goal.shape != found.shape:
            expected = f"as many outputs as the student has features, {found.shape[-1]}"
            raise ConfigError("aggregator", f"{goal.shape[-1]} outputs", expected)
        teacher_head = self.student.head.init(keys[3], goal)
        return DistilledParams(experts, aggregator, teacher_head, student)

    def aggregate(
        self, params: DistilledParams, inputs: DomainInputs
    ) -> Float[Array, "n features"]:
        """Return what the aggregator makes of the experts' features; they are constants.

        Args:
          params: of all parts.
          inputs: images with their domain.
        """
        features = self.experts.features(jax.lax.stop_gradient(params.experts), inputs.images)
        return self.aggregator.apply(params.aggregator, features, self.experts.present(inputs))

    def distance(
        self, features: Params, params: DistilledParams, inputs: DomainInputs
    ) -> Float[Array, ""]:
        """Return how far a student's features are from the aggregator's.

        The squares are summed over the features and averaged over the images. The mean over both
        would need a rate as many times larger as there are features.

        Args:
          features: parameters of the student's features.
          params: of all parts.
          inputs: images with their domain.
        """
        found = self.student.features.apply(features, inputs.images)
        return jnp.mean(jnp.sum((found - self.aggregate(params, inputs)) ** 2, axis=-1))

    def separately(self) -> MetaLearner:
        """Return the first stage: each expert learns its domain, the student all of them."""

        def loss(params: DistilledParams, task: Task, key: Key[Array, ""]) -> Any:
            examples = whole(task)
            value, metrics = self._plain(params, examples)
            return value + self.experts.own_loss(params.experts, examples)[0], metrics

        return self._learner(self._predict_plain, loss)

    def together(self) -> MetaLearner:
        """Return the second stage: the aggregator learns with its own head, the student goes along.

        ``predict`` is the teacher's: the aggregator with its head.
        """

        def predict(params: DistilledParams, adapted: Any, inputs: DomainInputs) -> Array:
            return self.student.head.apply(params.teacher_head, self.aggregate(params, inputs))

        def loss(params: DistilledParams, task: Task, key: Key[Array, ""]) -> Any:
            examples = whole(task)
            value, metrics = self._plain(params, examples)
            value += cross_entropy(predict(params, (), examples.inputs), examples.targets)
            still = params._replace(aggregator=jax.lax.stop_gradient(params.aggregator))
            far = self.distance(params.student["features"], still, examples.inputs)
            return value + self.imitate * far, metrics

        return self._learner(predict, loss)

    def distilled(self, inner_lr: float | Float[Array, ""], steps: int = 1) -> MetaLearner:
        """Return the last stage, the learner itself, whose inner steps read no label.

        The student's features move toward the aggregator's on the support, by :meth:`distance`.
        Then the student is scored on the query, and the meta-gradient runs through the inner steps
        to the student and to the aggregator (Algorithm 1).

        Args:
          inner_lr: rate of the inner steps; with 0 this is the training of the student alone.
          steps: inner steps; the paper takes 1.

        Returns:
          The learner; ``adapted`` is the parameters of the student's features.

        Raises:
          ConfigError: ``steps`` is below 1.
        """

        def inner_loss(features: Params, params: DistilledParams, support: Examples) -> Array:
            return self.distance(features, params, support.inputs)

        def outputs(params: DistilledParams, features: Params, inputs: DomainInputs) -> Array:
            student = {"features": features, "head": params.student["head"]}
            return self.student.apply(student, inputs.images)

        problem = descend(
            inner_loss,
            inner_loss,
            optax.sgd(inner_lr),
            init=lambda params, _: params.student["features"],
        )
        return gradient_learner(
            problem, self.init, outputs, cross_entropy, steps=steps, unroll=steps
        )

    def _predict_plain(self, params: DistilledParams, adapted: Any, inputs: DomainInputs) -> Array:
        return self.student.apply(params.student, inputs.images)

    def _plain(self, params: DistilledParams, examples: Examples) -> Any:
        logits = self._predict_plain(params, (), examples.inputs)
        return loss_and_metrics(cross_entropy, logits, examples.targets)

    def _learner(self, predict: Any, loss: Any) -> MetaLearner:
        learner = MetaLearner(self.init, not_adapted, predict, loss)
        return checked_learner(learner, inputs=DomainInputs)

    def stages(self, steps: Sequence[int], student: MetaLearner | None = None) -> list[Stage]:
        """Return the stages of training, each with the parts that it trains.

        Args:
          steps: of each stage.
          student: :meth:`distilled`, which learns last; None: the first two stages, at whose end
            the teacher predicts.
        """
        learners = [self.separately(), self.together()]
        if student is not None:
            learners.append(student)
        return [
            Stage(learner, number, self.trained(index))
            for index, (learner, number) in enumerate(zip(learners, steps, strict=True))
        ]

    @staticmethod
    def trained(stage: int) -> Any:
        """Return what a stage trains, for :class:`metajax.learners.Stage`.

        Args:
          stage: 0, 1 or 2.
        """
        parts = (
            {"experts", "student"},
            {"aggregator", "teacher_head", "student"},
            {"aggregator", "student"},
        )[stage]

        def of(params: DistilledParams) -> DistilledParams:
            every = params._asdict()
            marks = {
                name: jax.tree.map(lambda _, moves=name in parts: moves, part)
                for name, part in every.items()
            }
            return DistilledParams(**marks)

        return of
