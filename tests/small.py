"""The smallest settings that each system still does all of its work with."""

from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "gpicl": {
        "width": 16,
        "layers": 1,
        "heads": 2,
        "key_size": 8,
        "examples": 6,
        "tasks_per_step": 2,
    },
    "hyperdistill": {"inner_steps": 4, "tasks_per_step": 2, "width": 8, "layers": 2},
    "fewshot": {
        "tasks": "images",
        "shots": 1,
        "layers": 2,
        "channels": 4,
        "tasks_per_step": 2,
        "rotations": True,
    },
    "hypino": {
        "grid": 8,
        "interior": 4,
        "boundary": 4,
        "width": 4,
        "depths": (1,),
        "heads": (1,),
        "head_hidden": 2,
        "target_width": 4,
        "target_layers": 1,
        "tasks_per_step": 2,
    },
}
