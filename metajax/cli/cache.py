"""Compiled programs on disk."""

from __future__ import annotations

import logging

log = logging.getLogger("metajax")

DEFAULT_CACHE = "~/.cache/metajax/xla"


def use_compilation_cache(folder: str) -> None:
    """Keep compiled programs on disk: the second run of a program starts without compiling.

    Raises:
      ConfigError: the folder cannot be reached.
    """
    import jax

    from metajax.core import ConfigError
    from metajax.train import as_path, check_writable

    if folder == "off":
        return
    try:
        path = as_path(folder, "compilation_cache")
        check_writable(path, "compilation_cache")
    except ConfigError as error:
        if folder != DEFAULT_CACHE:
            raise
        log.info("compiled programs are not kept: %s", error)
        return
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # XLA's own caches write their folder's name into the key: a moved folder would miss
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
