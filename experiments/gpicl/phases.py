"""Draw the three phases: accuracy and gain by number of training tasks.

python experiments/gpicl/phases.py      # results/sweep_tasks.json to figures/sweep_tasks.png
"""

from __future__ import annotations

import json
from pathlib import Path

from metajax.systems.gpicl import draw_phases

HERE = Path(__file__).parent


def main() -> None:
    runs = json.loads((HERE / "results" / "sweep_tasks.json").read_text())
    # evaluations, or runs as collect.py keeps them
    figure = draw_phases([run.get("eval", run) for run in runs])
    figure.savefig(HERE / "figures" / "sweep_tasks.png", dpi=150)


if __name__ == "__main__":
    main()
