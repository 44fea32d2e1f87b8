"""Every test runs under the strict modes, on eight simulated devices, one thread a worker."""

import ctypes
import gc
import os
import shutil
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path

import pytest

# before jax is imported; the processes that tests start inherit them
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = "1"

MOST_MAPS = 20_000
PROGRAMS_OF_A_CONTEXT = 50

for folder in (".", "bilevel", "learners", "continual", "units"):  # for what several tests share
    sys.path.insert(0, str(Path(__file__).parent / folder))


def pytest_configure(config):
    if getattr(config.option, "dist", "no") == "load":
        # each worker has half of the files, whose programs and fixtures the other need not make
        # again, until one has done its half
        config.option.dist = "worksteal"
    if not hasattr(config, "workerinput") and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # made here, before xdist starts its workers: they share what any of them has compiled
        config.metajax_cache = tempfile.mkdtemp(prefix="metajax-tests-xla-")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = config.metajax_cache
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")

    jaxlib = tuple(int(part) for part in version("jaxlib").split(".")[:2])
    if jaxlib < (0, 11):
        # compiles in a third of the time; a notebook and the README's commands run what users
        # run. Later XLA may have no such flags, and an unknown one ends the process silently.
        os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
        # the parts of a program would be compiled side by side, but every core has its worker
        os.environ["XLA_FLAGS"] += " --xla_cpu_parallel_codegen_split_count=1"

    # half the time again, to slower programs: nearly all tests compile much and run little
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    jax.config.update("jax_num_cpu_devices", 8)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    if jaxlib < (0, 11):
        share_contexts()


def share_contexts():
    """Let the programs of a thread be lowered in one MLIR context, where JAX makes one for each.

    To make and to end a context takes a third of what a small program costs, and the tests have
    twenty thousand. A context keeps the constants that it met, so each serves a few programs only.
    """
    from jax._src.interpreters import mlir

    make, here = mlir.make_ir_context, threading.local()

    def shared():
        here.left = getattr(here, "left", 0) - 1
        if here.left < 0:
            here.context, here.left = make(), PROGRAMS_OF_A_CONTEXT
        return here.context

    mlir.make_ir_context = shared


def pytest_unconfigure(config):
    if hasattr(config, "metajax_cache"):
        shutil.rmtree(config.metajax_cache, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Let the garbage collector leave alone what importing and collecting made, and come rarely.

    It took a tenth of the time, most of it in walks through what stays until the end.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


@pytest.fixture
def optimized():
    """Compile as users do, for what runs long. The processes that the tests start do so too."""
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    del os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]
    yield
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A local folder that is ``gs://bucket``; what is made by mistake would lie in ``here``."""
    import stores

    monkeypatch.setenv(stores.ROOT, str(tmp_path / "store"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    stores.register()
    yield tmp_path / "store" / "bucket"
    assert not list((tmp_path / "here").iterdir())


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Drop compiled programs before Linux runs out of memory maps for this process.

    XLA:CPU takes about six of the 65,530 for each program, and ends the process where none is left:
    the whole suite on one worker came that far.
    """
    yield
    import jax

    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
        # what was freed between what is still used goes back to the system: gigabytes
        if hasattr(ctypes.CDLL(None), "malloc_trim"):
            ctypes.CDLL(None).malloc_trim(0)
