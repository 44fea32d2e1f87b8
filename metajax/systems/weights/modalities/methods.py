"""Methods for the condition ``modalities``: adapters of a projector, from pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax

from metajax import learners
from metajax.core import Count, MetaLearner, Network, Params, ProperFraction
from metajax.hypernet import modality_adapter as make_adapter
from metajax.nn import mlp
from metajax.systems.base import Entry, Method
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training

RIDGES = (0.05, 0.5, 5.0)
"""Strengths from which :func:`solved_adapter` learns its own."""
GENERATED = ("encoder", "heads")
"""Parameters of an adapter that generate its low-rank part."""


class ModalityParts(NamedTuple):
    """What the evaluation reads of a method.

    Attributes:
      projector: embeddings to vectors of the size of the texts.
      reader: the learner.
    """

    projector: Network
    reader: MetaLearner


@dataclass(frozen=True)
class Attention:
    """The hypernetwork that reads pairs."""

    rank: Count = 8
    """Rank of what is added to each kernel of the projector."""
    attention_width: Count = 64
    """Width of the attention over pairs, a multiple of `attention_heads`."""
    attention_layers: Count = 2
    """Layers of attention."""
    attention_heads: Count = 4
    """Heads of attention."""


ATTENTION = Attention()


def _parts(
    problem: Problem, attention: Attention, ridges: tuple[float, ...], rotate: bool
) -> ModalityParts:
    """The projector and its reader."""
    of = problem.settings
    projector = mlp((of.width,) * of.layers, of.text_size, jax.nn.gelu)
    adapter = make_adapter(
        rank=attention.rank,
        width=attention.attention_width,
        depth=attention.attention_layers,
        heads=attention.attention_heads,
        ridges=ridges,
    )
    texts = problem.conditions.texts
    return ModalityParts(
        projector, learners.modality_reader(projector, adapter, texts, rotate=rotate)
    )


def modality_adapter(
    problem: Problem,
    training: Training,
    *,
    attention: Attention = ATTENTION,
    projector_share: ProperFraction = 0.1,
    rotate: bool = True,
) -> Method:
    """Generate low-rank adapters of a shared projector from pairs (SEMI, arXiv 2509.04606).

    Args:
      projector_share: Part of the steps that train the shared projector, which then stays.
      rotate: Turn the embeddings of each task in training by a random orthogonal matrix.
    """
    parts = _parts(problem, attention, (), rotate)
    first = max(round(projector_share * training.steps), 1)

    def only(name: str) -> Callable[[Params], Params]:
        return lambda params: {each: each == name for each in params}

    stages = [
        learners.Stage(learners.shared_projector(parts.reader), first, only("projector")),
        learners.Stage(parts.reader, max(training.steps - first, 1), only("adapter")),
    ]
    lengths = [stage.steps for stage in stages]
    algorithm = learners.in_stages(stages, lambda stage: training.make_optimizer(lengths[stage]))
    return Method(algorithm, parts.reader, parts=parts)


def solved_adapter(
    problem: Problem,
    training: Training,
    *,
    attention: Attention = ATTENTION,
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
    parts = _parts(problem, attention, RIDGES, rotate)
    if generated:
        return Method(training.descend(parts.reader), parts.reader, parts=parts)

    def moves(params: Params) -> Params:
        adapter = {name: name not in GENERATED for name in params["adapter"]}
        return {"projector": True, "adapter": adapter}

    stage = learners.Stage(parts.reader, training.steps, moves)
    algorithm = learners.in_stages([stage], lambda _: training.make_optimizer())
    return Method(algorithm, parts.reader, parts=parts)


METHODS: dict[str, Entry] = {"solved_adapter": solved_adapter, "modality_adapter": modality_adapter}
"""Methods for the condition ``modalities``, the default first."""
