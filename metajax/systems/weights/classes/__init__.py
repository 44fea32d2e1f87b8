"""Networks generated for tuples of classes, by models of a zoo's weights."""

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.weights.classes.evaluate import on_unseen_tuples

SYSTEM = family(
    __name__,
    summary="networks generated for tuples of classes, by models of a zoo's weights",
    evaluators={"new_tasks": on_unseen_tuples},
    objective=Objective(
        "rows.test.mean[0]", title="accuracy on unseen tuples of classes, without a step"
    ),
)
"""What the family has of this kind of problem."""
