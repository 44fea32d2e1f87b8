"""Networks generated for widths of a hidden layer."""

from metajax.systems.layout import family
from metajax.systems.weights.evaluate import evaluate, mean_accuracy, on_test_images
from metajax.systems.weights.report import condition_figures, condition_table

SYSTEM = family(
    __name__,
    summary="networks generated for widths of a hidden layer",
    evaluate=evaluate,
    evaluators={"new_tasks": on_test_images},
    objective=mean_accuracy(-1),
    table=condition_table,
    figures=condition_figures,
    tied_to_steps={"neumeta": "the length of its stages"},
)
"""What the family has of this kind of problem."""
