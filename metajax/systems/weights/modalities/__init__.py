"""Adapters generated for embeddings of an unseen modality, of a few pairs."""

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.weights.modalities.evaluate import on_unseen_encoders

SYSTEM = family(
    __name__,
    summary="adapters generated for embeddings of an unseen modality, of a few pairs",
    evaluators={"new_tasks": on_unseen_encoders},
    objective=Objective(
        "rows.test.mean[0]", title="accuracy on unseen encoders, with the fewest pairs"
    ),
    evaluation=("glyphs", "pair_steps", "pair_lr"),
)
"""What the family has of this kind of problem."""
