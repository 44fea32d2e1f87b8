"""Double precision, for what has to be exact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def float64_on_cpu() -> Iterator[None]:
    """Let arrays be float64 and live on the CPU inside the block: not every accelerator has it."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield
