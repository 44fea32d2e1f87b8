"""Networks generated for architectures of multi-layer perceptrons."""

from metajax.systems.layout import family
from metajax.systems.weights.evaluate import mean_accuracy, on_test_images

SYSTEM = family(
    __name__,
    summary="networks generated for architectures of multi-layer perceptrons",
    evaluators={"new_tasks": on_test_images},
    objective=mean_accuracy(0),
    evaluation=("start_steps", "start_lr"),
)
"""What the family has of this kind of problem."""
