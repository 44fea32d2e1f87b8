"""Networks generated for angles by which images are turned."""

from metajax.systems.layout import family
from metajax.systems.weights.evaluate import evaluate, mean_accuracy, on_test_images
from metajax.systems.weights.report import condition_figures, condition_table

SYSTEM = family(
    __name__,
    summary="networks generated for angles by which images are turned",
    evaluate=evaluate,
    evaluators={"new_tasks": on_test_images},
    objective=mean_accuracy(-1),
    table=condition_table,
    figures=condition_figures,
)
"""What the family has of this kind of problem."""
