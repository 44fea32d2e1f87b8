"""Draw images and their reconstructions by edits, of the first seed.

python experiments/weights/edit_pictures.py     # edits.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metajax.systems.weights.images.report import edit_pictures

HERE = Path(__file__).parent
PICTURE = HERE / "figures" / "edits.png"


def pictures() -> dict[str, Any]:
    """Those of the edits' first seed."""
    runs = json.loads((HERE / "results" / "edits.json").read_text(encoding="utf-8"))
    found = {(run["config"]["method"], run["config"]["seed"]): run["eval"] for run in runs}
    return found["weight_edits", 0]["more"]["pictures"]


if __name__ == "__main__":
    edit_pictures(pictures()).savefig(PICTURE, dpi=90, metadata={"Software": None})
    print(PICTURE.relative_to(HERE))
