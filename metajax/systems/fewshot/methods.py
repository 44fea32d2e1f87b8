"""The methods of few-shot learning: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import jax
import optax

from metajax import learners
from metajax.core import TRACED, ConfigError, Count, MetaLearner, Positive, Range
from metajax.systems.base import Entry, Method
from metajax.systems.fewshot.problem import Problem
from metajax.systems.fewshot.settings import Inner
from metajax.systems.setup import descended
from metajax.systems.training import Training

INNER = Inner()


def inner_sgd(inner: Inner, usual: float) -> optax.GradientTransformation:
    """Return SGD at the inner learning rate, or where that is None at the usual one."""
    return optax.sgd(usual if inner.inner_lr is None else inner.inner_lr)


def adapting(problem: Problem, rule: Callable[..., Any], how: Inner, **options: Any) -> Any:
    """Return ``rule(network, loss, sgd, steps=..., ...)`` of the problem's network."""
    sgd = inner_sgd(how, problem.inner_lr)
    return rule(problem.network(), problem.loss, sgd, steps=how.inner_steps, **options)


def maml(problem: Problem, training: Training, *, inner: Inner = INNER) -> MetaLearner:
    """Learn the start of a few gradient steps (MAML; Finn et al. 2017, arXiv 1703.03400)."""
    return adapting(problem, learners.maml, inner)


def first_order_maml(problem: Problem, training: Training, *, inner: Inner = INNER) -> MetaLearner:
    """MAML without second derivatives (Finn et al. 2017, arXiv 1703.03400, section 5.2)."""
    return adapting(problem, learners.first_order_maml, inner)


def anil(problem: Problem, training: Training, *, inner: Inner = INNER) -> MetaLearner:
    """MAML that adapts the last layer alone (ANIL; Raghu et al. 2020, arXiv 1909.09157)."""
    return adapting(problem, learners.anil, inner, inner=problem.head)


def anil_solved(problem: Problem, training: Training, *, scale: Positive = 10.0) -> Method:
    """ANIL whose head is solved for, from a learned one (Raghu et al. 2020, arXiv 1909.09157).

    Args:
      scale: Where the factor on the outputs starts (images).
    """
    learner = solved(problem, 0.0, scale)
    return Method(training.descend(learner, tasks_at_once=problem.tasks_at_once), learner)


def maml_ridge(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML in training, its head by ridge regression in use (Finn et al. 2017, arXiv 1703.03400).

    The head is drawn toward MAML's own; leaving one out of the support chooses how much.
    """
    trained = maml(problem, training, inner=inner)
    return Method(descended(trained, problem, training), solved(problem, None))


def solved(problem: Problem, log_strength: float | None, scale: float = 1.0) -> MetaLearner:
    """Return the problem's network with its head solved for."""
    return learners.anil_solved(
        problem.network(),
        problem.loss,
        inner=problem.head,
        ways=problem.ways,
        log_strength=log_strength,
        scale=scale,
    )


def meta_sgd(problem: Problem, training: Training, *, inner: Inner = INNER) -> MetaLearner:
    """MAML with a learned rate for every weight (Meta-SGD; Li et al. 2017, arXiv 1707.09835)."""
    return adapting(problem, learners.meta_sgd, inner)


def maml_plus_plus(
    problem: Problem, training: Training, *, inner: Inner = INNER, anneal_steps: Count = 2000
) -> Method:
    """MAML scored after every step, with learned rates (MAML++; Antoniou 2019, arXiv 1810.09502).

    Args:
      anneal_steps: Meta-steps until the loss after the last inner step counts alone.
    """

    def learner(step_weights: jax.Array | None = None) -> MetaLearner:
        return adapting(problem, learners.maml, inner, rates="per_step", step_weights=step_weights)

    algorithm = learners.multi_step_gradient(
        learner,
        training.make_optimizer(),
        steps=inner.inner_steps,
        anneal_steps=anneal_steps,
        tasks_at_once=problem.tasks_at_once,
    )
    return Method(algorithm, learner())


def imaml(
    problem: Problem,
    training: Training,
    *,
    inner: Inner = INNER,
    strength: Positive = 2.0,
    damping: Annotated[float, Range(0)] = 10.0,
) -> MetaLearner:
    """MAML by implicit differentiation (iMAML; Rajeswaran et al. 2019, arXiv 1909.04630).

    Args:
      strength: Weight of the pull toward the shared start.
      damping: Added to the eigenvalues of the inner loss's Hessian, some of which are below 0.
    """
    return adapting(problem, learners.imaml, inner, strength=strength, damping=damping)


def cavia(
    problem: Problem, training: Training, *, inner: Inner = INNER, context_size: Count = 8
) -> MetaLearner:
    """Adapt only a context that joins the input (CAVIA; Zintgraf et al. 2019, arXiv 1810.03642).

    Args:
      context_size: Numbers of the context that is adapted.
    """
    return learners.cavia(
        problem.network(context_size if problem.images else None),
        problem.loss,
        inner_sgd(inner, 1.0),
        steps=inner.inner_steps,
        context_size=context_size,
        attach=learners.paired if problem.images else learners.concatenated,
    )


def reptile(
    problem: Problem,
    training: Training,
    *,
    inner: Inner = INNER,
    reptile_rate: Annotated[float, Range(above=0, high=1), TRACED] = 1.0,
) -> Method:
    """Move the start toward adapted weights (Reptile; Nichol et al. 2018, arXiv 1803.02999).

    Args:
      reptile_rate: Share of the way moved at first, which falls to 0 linearly; takes the place of
        the learning rate.
    """
    outer = optax.sgd(optax.linear_schedule(reptile_rate, 0.0, training.steps))
    algorithm = adapting(problem, learners.reptile, inner, optimizer=outer)
    return Method(algorithm, maml(problem, training, inner=inner))


def evolution(
    problem: Problem,
    training: Training,
    *,
    inner: Inner = INNER,
    sigma: Positive = 0.03,
    pairs: Count = 16,
) -> Method:
    """Meta-train MAML without derivatives (ES-MAML; Song et al. 2020, arXiv 1910.01215).

    Args:
      sigma: Deviation of the perturbations.
      pairs: Antithetic pairs of perturbations per task.
    """
    learner, optimizer = maml(problem, training, inner=inner), training.make_optimizer()
    algorithm = learners.evolution(
        learner, optimizer, sigma=sigma, pairs=pairs, tasks_at_once=problem.tasks_at_once
    )
    return Method(algorithm, learner)


def ridge(problem: Problem, training: Training, *, scale: Positive = 10.0) -> MetaLearner:
    """Solve a linear head by ridge regression (R2-D2; Bertinetto et al. 2019, arXiv 1805.08136).

    Args:
      scale: Where the factor on the outputs starts (images; it is 1 on sinusoids).
    """
    scale = scale if problem.images else 1.0
    return learners.ridge(problem.features(), problem.loss, ways=problem.ways, scale=scale)


def logistic(
    problem: Problem, training: Training, *, newton_steps: Count = 5, scale: Positive = 1.0
) -> MetaLearner:
    """Fit a logistic head by Newton's method (LR-D2; Bertinetto et al. 2019, arXiv 1805.08136).

    Args:
      newton_steps: Steps of Newton's method.
      scale: Where the factor on the outputs starts.
    """
    return classifying(problem, learners.logistic, steps=newton_steps, scale=scale)


def svm(
    problem: Problem,
    training: Training,
    *,
    cost: Positive = 0.1,
    most_steps: Count = 1000,
    scale: Positive = 10.0,
) -> MetaLearner:
    """Fit a support vector machine as the head (MetaOptNet; Lee et al. 2019, arXiv 1904.03758).

    Args:
      cost: Of a margin that is missed.
      most_steps: Steps of projected gradients, of which fewer are taken where they are enough.
      scale: Where the factor on the outputs starts.
    """
    return classifying(problem, learners.svm, cost=cost, most_steps=most_steps, scale=scale)


def prototypical(problem: Problem, training: Training) -> MetaLearner:
    """Classify by the nearest class mean of features (Snell et al. 2017, arXiv 1703.05175)."""
    return classifying(problem, learners.prototypical)


def matching(problem: Problem, training: Training, *, scale: Positive = 10.0) -> MetaLearner:
    """Classify by attention over the support (Vinyals et al. 2016, arXiv 1606.04080).

    Args:
      scale: Factor on the cosines.
    """
    return classifying(problem, learners.matching, scale=scale)


def classifying(problem: Problem, rule: Callable[..., MetaLearner], **options: Any) -> MetaLearner:
    """Return a learner of classes, ``rule(features, ways=..., ...)``.

    Raises:
      ConfigError: tasks have no classes.
    """
    if problem.ways is None:
        raise ConfigError("method", rule.__name__, "one that regresses, on sinusoids")
    return rule(problem.features(), ways=problem.ways, **options)


METHODS: dict[str, Entry] = {
    "maml": maml,
    "first_order_maml": first_order_maml,
    "anil": anil,
    "anil_solved": anil_solved,
    "maml_ridge": maml_ridge,
    "meta_sgd": meta_sgd,
    "maml_plus_plus": maml_plus_plus,
    "imaml": imaml,
    "cavia": cavia,
    "reptile": reptile,
    "evolution": evolution,
    "ridge": ridge,
    "logistic": logistic,
    "svm": svm,
    "prototypical": prototypical,
    "matching": matching,
}
"""All methods by name, the default first. A new one joins by a line here."""
