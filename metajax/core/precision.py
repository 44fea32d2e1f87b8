"""Double precision, for what has to be exact."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

# JAX 0.7 had it there alone, later versions have it here alone
_home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
enable_x64: Any = _home.enable_x64
"""``with enable_x64(True):`` lets arrays be float64 inside the block: JAX's own, of any version."""


@contextmanager
def float64_on_cpu() -> Iterator[None]:
    """Let arrays be float64 and live on the CPU inside the block: not every accelerator has it.

    Returns:
      Nothing: it is a context manager.
    """
    with enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield
