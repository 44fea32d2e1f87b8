"""The versions of what computes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from metajax import __version__


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of installed packages by name; metajax may run from a bare checkout.

    Args:
      names: of packages, as an index calls them.

    Raises:
      PackageNotFoundError: one but metajax is not installed.
    """
    return {name: __version__ if name == "metajax" else metadata.version(name) for name in names}
