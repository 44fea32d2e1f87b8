"""The versions of what computes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import metadata


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of installed packages by name; metajax may run from a bare checkout.

    Args:
      names: of packages, as an index calls them.

    Raises:
      PackageNotFoundError: one but metajax is not installed.
    """
    own = sys.modules["metajax"].__version__  # this file is of it; an import would be a circle
    return {name: own if name == "metajax" else metadata.version(name) for name in names}
