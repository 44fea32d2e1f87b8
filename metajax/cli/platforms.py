"""The devices that jax was told to use."""

from __future__ import annotations

import os

from metajax.core import ConfigError


def missing_platform() -> ConfigError | None:
    """What is wrong with ``JAX_PLATFORMS``, where jax cannot start what it names."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        named = os.environ.get("JAX_PLATFORMS", "")
        said = str(error).partition(" (set JAX_PLATFORMS")[0] or "it cannot be started"
        return ConfigError(
            "JAX_PLATFORMS", named, f"platforms that are here, or unset to let jax choose ({said})"
        )
    return None
