"""The smallest settings that each method still does all of its work with."""

from typing import Any

from metajax.systems import config_type, configure, get_system


def tiny_settings(name: str, method: str | None = None) -> dict[str, Any]:
    """Return a system's tiny settings, those that one of its methods has."""
    system = get_system(name)
    known = config_type(system, method).__dataclass_fields__
    return {field: value for field, value in system.tiny.items() if field in known}


def tiny(name: str, method: str | None = None, **values: Any) -> Any:
    """Return the tiny config of a system's method, with some settings changed."""
    return configure(name, None, method, **{**tiny_settings(name, method), **values})
