"""Edits of a frozen generator's weights, for images that it is to reconstruct."""

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.weights.images.evaluate import on_known_classes

SYSTEM = family(
    __name__,
    summary="edits of a generator's weights, for images that it is to reconstruct",
    evaluators={"new_tasks": on_known_classes},
    objective=Objective(
        "rows.as_trained.mean[0]",
        False,
        title="mean squared error on held-out images of known classes",
    ),
    evaluation=("image_steps", "weight_rates", "latent_rates", "edit_images"),
)
"""What the family has of this kind of problem."""
