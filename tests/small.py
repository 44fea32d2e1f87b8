"""The smallest settings that each method still does all of its work with."""

from typing import Any

from metajax.systems import config_type, configure, get_system


def tiny(name: str, method: str | None = None, **values: Any) -> Any:
    """Return the tiny config of a system's method, with some settings changed."""
    system = get_system(name)
    known = config_type(system, method).__dataclass_fields__
    small = {field: value for field, value in system.tiny.items() if field in known}
    return configure(system, None, method, **{**small, **values})
