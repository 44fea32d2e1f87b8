"""The pictures of docs/solve.md, of problems in `problems/`.

python experiments/solve/figures.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

from metajax.physics.solver import draw, maps_of, read_problem, solve

HERE = Path(__file__).parent
DRAWN = ("l_shape", "heat_pipe", "burgers")
DPI = 65


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(DRAWN))
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "docs" / "solve")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.problems:
        problem = read_problem(HERE / "problems" / f"{name}.yaml")
        found = solve(problem)
        title = f"{found.verdict}: error about {found.error:.0e} of u"
        draw(maps_of(found, problem), title).savefig(options.out / f"{name}.png", dpi=DPI)
        print(name, title, found.features, flush=True)


if __name__ == "__main__":
    main()
