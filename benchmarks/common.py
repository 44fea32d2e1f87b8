"""What the benchmarks share: one quiet process, sides in turn, intervals, PyTorch's layers."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy.stats

from metajax.train import keep_freed_memory, provenance, write_json


def import_torch() -> Any:
    """PyTorch; exits with 2 where it is not installed."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print("torch is not installed; `pip install torch` and run this again", file=sys.stderr)
        raise SystemExit(2) from None
    return torch


def use_one_thread(torch: Any = None) -> dict[str, Any]:
    """Keep this process to one thread on CPU, and compile everything again.

    Returns what the result's JSON begins with, PyTorch's version where it is given.
    """
    keep_freed_memory()  # as the command line does; PyTorch gains by it, too
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_compilation_cache", False)
    result = provenance()
    result["hardware"] |= {"cpu": cpu_name(), "threads": 1}
    if torch is not None:
        torch.set_num_threads(1)
        result["versions"]["torch"] = torch.__version__
    return result


def write_result(path: Path | None, result: dict[str, Any]) -> None:
    """Write ``result`` as JSON, where there is a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)


def cpu_name() -> str:
    """The processor's model name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line for line in lines if "model name" in line]
    return names[0].split(":")[1].strip() if names else platform.processor()


def interleaved(sides: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, np.ndarray]:
    """CPU seconds of every side in every round; the order alternates, the first round is left out.

    Sides run in one process in turn, so what else the machine does falls on all of them alike.
    """
    times: dict[Any, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name in list(sides) if turn % 2 else list(sides)[::-1]:
            begin = time.process_time()
            jax.block_until_ready(sides[name]())
            times[name].append(time.process_time() - begin)
        print(f"round {turn} of {rounds}", end="\r", file=sys.stderr, flush=True)
    return {name: np.array(taken[1:]) for name, taken in times.items()}


def interval(values: Any) -> dict[str, float]:
    """Median with its bootstrap 95% interval."""
    found = scipy.stats.bootstrap((values,), np.median, method="percentile", rng=0)
    low, high = found.confidence_interval
    return {"median": float(np.median(values)), "low": float(low), "high": float(high)}


def shown(ratio: dict[str, float]) -> str:
    """A ratio with its interval."""
    return f"{ratio['median']:5.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def parameter(torch: Any, values: np.ndarray) -> Any:
    """A copy of an array as a parameter."""
    return torch.nn.Parameter(torch.from_numpy(values.copy()))


def linear(torch: Any, weights: Any) -> Any:
    """PyTorch's dense layer with our weights."""
    layer = torch.nn.Linear(*weights["kernel"].shape)
    layer.weight = parameter(torch, weights["kernel"].T)
    layer.bias = parameter(torch, weights["bias"])
    return layer


def layer_norm(torch: Any, weights: Any) -> Any:
    """PyTorch's layer normalization with our weights."""
    layer = torch.nn.LayerNorm(len(weights["scale"]))
    layer.weight = parameter(torch, weights["scale"])
    layer.bias = parameter(torch, weights["bias"])
    return layer
