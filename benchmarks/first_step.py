"""How long a user waits for the first meta-step of a preset, cold and with a warm cache.

    python benchmarks/first_step.py --preset digits --out benchmarks/results/first_step.json

Each run is a process of its own that trains one step through `fit`, as `metajax train` does. It
reports CPU seconds of: imports, building (data, pools, learner), and `fit` up to the end of its
step, with tracing and compiling; first with an empty compilation cache, then with the one it
left.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, sys, time
times = [time.process_time()]
import jax
from metajax.cli.cache import use_compilation_cache
from metajax.systems import build, configure
from metajax.train import fit, keep_freed_memory
keep_freed_memory()
use_compilation_cache(sys.argv[2])
jax.devices()
times.append(time.process_time())
run = build(configure("gpicl", sys.argv[1]))
times.append(time.process_time())
fit(run.algorithm, run.tasks, steps=1, tasks_per_step=run.tasks_per_step, key=jax.random.key(0),
    workdir=sys.argv[3], progress=False)
times.append(time.process_time())
names = ("imports", "build", "first_step")
print(json.dumps({n: round(b - a, 2) for n, a, b in zip(names, times, times[1:])}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="digits")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: dict[str, list] = {"cold": [], "warm": []}
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("cold", "warm"):
                child = subprocess.run(
                    [
                        sys.executable,
                        "-c",
                        CHILD,
                        options.preset,
                        f"{folder}/xla",
                        f"{folder}/{kind}",
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                result[kind].append(json.loads(child.stdout.splitlines()[-1]))
                print(kind, result[kind][-1], flush=True)
    if options.out:
        from common import write_result

        from metajax.train import provenance

        write_result(
            options.out,
            {
                "benchmark": f"CPU seconds to the first step of preset {options.preset}",
                **result,
                **provenance(),
            },
        )


if __name__ == "__main__":
    main()
