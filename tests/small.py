"""The smallest settings that each system still does all of its work with."""

from typing import Any

from metajax.systems import config_type, configure, get_system

SMALL: dict[str, dict[str, Any]] = {
    "hyperdistill": {"inner_steps": 4, "tasks_per_step": 2, "width": 8, "layers": 2},
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


def tiny(name: str, method: str | None = None, **values: Any) -> Any:
    """Return the tiny config of a system's method, with some settings changed."""
    system = get_system(name)
    if system.config is not None:
        return system.config(**SMALL[name] | values)
    known = config_type(system, method).__dataclass_fields__
    small = {field: value for field, value in system.tiny.items() if field in known}
    return configure(system, None, method, **{**small, **values})
