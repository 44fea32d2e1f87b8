"""Methods for the condition ``modalities``: adapters of a projector, from pairs."""

from __future__ import annotations

from metajax import learners
from metajax.core import ProperFraction
from metajax.learners import AdaptedProjector, PairAttention
from metajax.systems.base import Entry, Method
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training

RIDGES = (0.05, 0.5, 5.0)
"""Strengths from which :func:`solved_adapter` learns its own."""
ATTENTION = PairAttention()


def _projector(
    problem: Problem, attention: PairAttention, ridges: tuple[float, ...], rotate: bool
) -> AdaptedProjector:
    """The projector and its reader."""
    texts = problem.conditions.texts
    return learners.adapted_projector(
        texts, problem.hidden, attention, ridges=ridges, rotate=rotate
    )


def modality_adapter(
    problem: Problem,
    training: Training,
    *,
    attention: PairAttention = ATTENTION,
    projector_share: ProperFraction = 0.1,
    rotate: bool = True,
) -> Method:
    """Generate low-rank adapters of a shared projector from pairs (SEMI, arXiv 2509.04606).

    Args:
      projector_share: Part of the steps that train the shared projector, which then stays.
      rotate: Turn the embeddings of each task in training by a random orthogonal matrix.
    """
    parts = _projector(problem, attention, (), rotate)
    first, rest = learners.stage_lengths(training.steps, [projector_share])
    # a training of one step has the projector alone
    stages = learners.projector_stages(parts.reader, [first, max(rest, 1)])
    return Method(training.descend_stages(stages), parts.reader, parts=parts)


def solved_adapter(
    problem: Problem,
    training: Training,
    *,
    attention: PairAttention = ATTENTION,
    generated: bool = True,
    rotate: bool = True,
) -> Method:
    """Solve a projector's adapter for the pairs, and generate the rest (after arXiv 2509.04606).

    The first layer's left factors are combinations of ridge regressions from embeddings to texts.
    The projector learns to read them, with all that is generated.

    Args:
      generated: Add what attention generates from the pairs.
      rotate: Turn the embeddings of each task in training by a random orthogonal matrix.
    """
    parts = _projector(problem, attention, RIDGES, rotate)
    if generated:
        algorithm = training.descend(parts.reader)
    else:
        stage = learners.without_generating(parts.reader, training.steps)
        algorithm = training.descend_stages([stage])
    return Method(algorithm, parts.reader, parts=parts)


METHODS: dict[str, Entry] = {"solved_adapter": solved_adapter, "modality_adapter": modality_adapter}
"""Methods for the condition ``modalities``, the default first."""
