"""What the world does to a run, as a battery: each fault, what must hold, and how often it held.

    python tests/faults.py                      # a quarter of an hour on two cores
    python tests/faults.py --kills 20 --out faults.json

One run is killed (SIGKILL) at a hundred random moments, each time given again, and must end in the
bits and with the log of a run never stopped. Then the test suite's own faults are run, by name.
Prints a table, and with --out writes it as JSON with the hardware; exits with 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from metajax.train import provenance, write_json
from runs import checkpoints, completed, run

TESTS = Path(__file__).parent
FAULTS = [
    (
        "SIGKILL while Orbax writes, before the seal, while old ones go",
        "never fewer than one good checkpoint; same bits and log",
        ("before_its_seal",),
    ),
    ("SIGKILL at random moments, more seeds", "same bits and log", ("killed_at",)),
    ("SIGTERM, SIGINT", "exit 75 or 130, state saved, same bits", ("signals_stop", "a_signal_to")),
    (
        "a flipped byte in each file of a checkpoint",
        "noticed; the one before it is used",
        ("flipped_byte",),
    ),
    (
        "a file of a checkpoint cut short, missing, or one too many; no seal",
        "noticed; the one before it is used; same bits",
        ("other_damage", "newest_checkpoints"),
    ),
    (
        "disk full, file size limit",
        "said; last good one kept; with room, same bits",
        ("full_disk", "grow_no_further"),
    ),
    ("read-only workdir", "rejected by name", ("read_only_workdir",)),
    (
        "two runs on one workdir, another config",
        "rejected; nothing touched",
        ("second_process", "another_config", "folder_is_held"),
    ),
    ("clocks that stand, jump, run backwards", "same bits", ("clock",)),
    (
        "a process of two killed, either one",
        "the other stops; both resume to the same bits",
        ("where_one_is_killed",),
    ),
    ("a corrupt shard of host-fed data", "named; once mended, same bits", ("corrupt_shard",)),
    (
        "NaN in data, loss, gradient, parameters",
        "stops at that step, or leaves it out",
        ("nan_in", "not_finite"),
    ),
]
"""Fault, what must hold, and what the names of its tests hold."""


def kill_often(folder: Path, kills: int, seed: int, options: list[str]) -> dict[str, Any]:
    """Kill one run ``kills`` times, let it end, and compare it with one never stopped."""
    rng = random.Random(seed)
    workdir, codes, saved = folder / "killed", [], []
    for _ in tqdm(range(kills), unit="kill", mininterval=10):
        code, _, _ = run(workdir, *options, "--kill-after", rng.uniform(0, 2.5))
        codes.append(code)
        saved.append(max(checkpoints(workdir), default=0))
    same = completed(workdir, *options) == completed(folder / "whole", *options)
    return {
        "fault": "SIGKILL of one run at random moments",
        "must_hold": "same bits and log",
        "tried": codes.count(-9),
        "held": codes.count(-9) * same,
        "ended_by_itself": codes.count(0),
        "newest_checkpoint_after_each": saved,
    }


def named_tests(folder: Path) -> Iterator[dict[str, Any]]:
    """Run the faults of the test suite, and count them by fault."""
    names = [name for *_, parts in FAULTS for name in parts]
    report = folder / "report.xml"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "auto",
            "-m",
            "slow or not slow",
            "-k",
            " or ".join(names),
            f"--junitxml={report}",
            str(TESTS / "train"),
        ],
        cwd=TESTS.parent,
        check=False,
    )
    cases = list(ElementTree.parse(report).iter("testcase"))
    for fault, must_hold, parts in FAULTS:
        those = [case for case in cases if any(part in case.attrib["name"] for part in parts)]
        left_out = [case for case in those if case.find("skipped") is not None]
        bad = [case for case in those if {"failure", "error"} & {child.tag for child in case}]
        yield {
            "fault": fault,
            "must_hold": must_hold,
            "tried": len(those) - len(left_out),
            "held": len(those) - len(left_out) - len(bad),
            "left_out": [case.attrib["name"] for case in left_out],
            "failed": [case.attrib["name"] for case in bad],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--steps", type=int, default=6000, help="of the run that is killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        # what a process has compiled, the next one finds
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{name}/compiled")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        rows = [kill_often(Path(name), options.kills, options.seed, ["--steps", options.steps])]
        rows += named_tests(Path(name))
    print("| fault | what must hold | held |\n|---|---|---|")
    for row in rows:
        out = f" ({len(row['left_out'])} left out here)" if row.get("left_out") else ""
        print(f"| {row['fault']} | {row['must_hold']} | {row['held']} of {row['tried']}{out} |")
    if options.out:
        minutes = round((time.monotonic() - began) / 60, 1)
        write_json(options.out, {**provenance(), "minutes": minutes, "faults": rows})
    return int(any(row["held"] < row["tried"] or not row["tried"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
