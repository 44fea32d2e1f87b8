"""Networks generated for tuples of classes, by models of a zoo's weights."""

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.weights.classes.evaluate import on_unseen_tuples
from metajax.systems.weights.classes.use import USE

SYSTEM = family(
    __name__,
    summary="networks generated for tuples of classes, by models of a zoo's weights",
    evaluators={"new_tasks": on_unseen_tuples},
    objective=Objective(
        "rows.test.mean[0]", title="accuracy on unseen tuples of classes, without a step"
    ),
    use=USE,
)
"""What the family has of this kind of problem."""
