"""``metajax methods``: the published methods that each system has."""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys

SOURCE = re.compile(r"^(?P<what>.*?)\s*\((?P<source>[^()]*\d{4}[^()]*)\)\.?$")
"""A method's line, which ends with its source in brackets."""


def methods_command(argv: list[str]) -> int:
    """Run ``metajax methods ARGV``; returns the exit code."""
    from metajax.systems import SYSTEMS, get_system, summary

    parser = argparse.ArgumentParser(
        prog="metajax methods",
        description="The methods of a system, or of all, and the paper that each is from: in a "
        "line each, or in two where a terminal is narrow. `metajax train SYSTEM --method NAME "
        "--help` explains a method's options.",
    )
    parser.add_argument("system", nargs="?", help=f"by name: {', '.join(SYSTEMS)}")
    named = parser.parse_args(argv).system
    # what goes to a file or a filter has one line a method
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    for name in SYSTEMS if named is None else (named,):
        system = get_system(name)
        print(f"{name}: {system.summary}")
        rows = [(method, *in_two(summary(made))) for method, made in system.methods.items()]
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        longest = sum(widths) + max((len(row[2]) for row in rows), default=0) + 6
        # of several kinds of problem, above the first method that is made for each
        heads = {next(iter(kind.methods)): kind.summary for kind in system.kinds}
        for method, what, source in rows:
            if method in heads:
                print(f" {heads[method]}:")
            if longest <= width:
                print(f"  {method:{widths[0]}}  {what:{widths[1]}}  {source}".rstrip())
            else:
                print(f"  {method:{widths[0]}}  {what}")
                if source:
                    print(f"  {'':{widths[0]}}    {source}")
    return 0


def in_two(line: str) -> tuple[str, str]:
    """Return what a method is, and the paper it is from: the brackets that its line ends with."""
    found = SOURCE.match(line)
    return (found["what"], found["source"]) if found else (line.removesuffix("."), "")
