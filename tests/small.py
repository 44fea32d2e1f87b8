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
    "hamiltonian": {
        "systems": ("mass_spring", "pendulum"),
        "width": 6,
        "trajectories": 2,
        "shots": 6,
        "queries": 5,
        "points": 12,
        "duration": 2.0,
        "tasks_per_step": 2,
    },
}
