"""The methods for unseen domains: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from collections.abc import Sequence

from metajax import learners
from metajax.core import Count, MetaLearner, NonNegative
from metajax.nn import mlp, token_set_encoder
from metajax.systems.base import Entry, Method
from metajax.systems.domains.problem import Problem
from metajax.systems.domains.settings import Teacher, Training, stage_steps

TEACHER = Teacher()


def distilled(
    problem: Problem, teacher: Teacher, imitate: float = 0.0
) -> learners.DistilledExperts:
    """Return the experts, the aggregator and the student."""
    of = problem.settings
    aggregator = token_set_encoder(
        num_outputs=of.features,
        width=teacher.aggregator_width,
        layers=teacher.aggregator_layers,
        heads=teacher.aggregator_heads,
        named=teacher.named_experts,
    )
    experts, student = problem.experts(teacher.expert_width), problem.network(of.width)
    return learners.DistilledExperts(experts, aggregator, student, imitate)


def in_stages(training: Training, stages: Sequence[learners.Stage]) -> Method:
    """Return the method that is trained in stages and predicts by the last one's learner."""
    return Method(training.descend_stages(stages), stages[-1].learner)


def meta_dmoe(
    problem: Problem,
    training: Training,
    *,
    inner_lr: NonNegative = 0.004,
    inner_steps: Count = 1,
    imitate: NonNegative = 0.0,
    teacher: Teacher = TEACHER,
) -> Method:
    """Adapt a student toward experts of other domains (Meta-DMoE, arXiv 2210.03885).

    Args:
      inner_lr: Rate of adapting, for squares summed over features and averaged over images.
      inner_steps: Steps of adapting.
      imitate: Factor of the student's distance from the aggregator before it learns to adapt; the
        paper has 0.
    """
    parts = distilled(problem, teacher, imitate)
    student = parts.distilled(inner_lr, inner_steps)
    return in_stages(training, parts.stages(stage_steps(teacher, training.steps, 3), student))


def aggregated_experts(
    problem: Problem, training: Training, *, teacher: Teacher = TEACHER
) -> Method:
    """Classify by the aggregator with its own head: the teacher of Meta-DMoE (arXiv 2210.03885)."""
    parts = distilled(problem, teacher)
    return in_stages(training, parts.stages(stage_steps(teacher, training.steps, 2)))


def context_student(
    problem: Problem, training: Training, *, context: Count = 32, encoder_width: Count = 64
) -> MetaLearner:
    """Read the support as a mean code (ARM; Zhang et al. 2021, arXiv 2007.02931).

    Args:
      context: Numbers of the code.
      encoder_width: Size of the hidden layer of the network that makes the code, units.
    """
    of = problem.settings
    network = mlp((of.width, of.features), problem.ways)
    return learners.context_student(network, mlp((encoder_width,), context))


def pooled_training(problem: Problem, training: Training) -> MetaLearner:
    """Train one network on all domains, without adapting: the baseline of equal steps (ERM)."""
    return learners.pooled_training(problem.network(problem.settings.width))


def mean_of_experts(
    problem: Problem, training: Training, *, expert_width: Count = TEACHER.expert_width
) -> MetaLearner:
    """Average the probabilities of all experts: a baseline.

    Args:
      expert_width: Size of an expert's hidden layer, units.
    """
    return learners.expert_vote(problem.experts(expert_width), "all")


def nearest_experts(
    problem: Problem, training: Training, *, expert_width: Count = TEACHER.expert_width
) -> MetaLearner:
    """Average the two experts of the nearest domains: a baseline that knows the target domain.

    Args:
      expert_width: Size of an expert's hidden layer, units.
    """
    return learners.expert_vote(problem.experts(expert_width), "nearest")


METHODS: dict[str, Entry] = {
    "meta_dmoe": meta_dmoe,
    "aggregated_experts": aggregated_experts,
    "context_student": context_student,
    "pooled_training": pooled_training,
    "mean_of_experts": mean_of_experts,
    "nearest_experts": nearest_experts,
}
"""All methods of the family, the default first."""
