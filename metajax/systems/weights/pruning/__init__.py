"""Networks prepared for pruning."""

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.weights.pruning.evaluate import on_pruned

SYSTEM = family(
    __name__,
    summary="networks prepared for pruning",
    evaluators={"new_tasks": on_pruned},
    objective=Objective(
        "rows.mean.mean[0]", title="accuracy after pruning and further training, mean over sizes"
    ),
    evaluation=("kept_units", "tune_steps"),
    tied_to_steps={"metanetwork": "how fast its sparsity rises"},
)
"""What the family has of this kind of problem."""
