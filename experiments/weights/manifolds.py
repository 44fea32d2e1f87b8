"""Measure how generated weights move with the width, of two trained runs of `neumeta`.

    python experiments/weights/manifolds.py --few RUN --all RUN --out FILE.json
    python experiments/weights/manifolds.py --draw     # results/manifolds.json

The two runs differ in `--octaves`. Weights of a width lie along its units' coordinate, from 0 to 1.
For the principal components they are interpolated at the same places for all widths.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
PICTURE = HERE / "figures" / "manifolds.png"
WIDTHS = range(12, 33)
SHOWN = (16, 18, 22, 26, 30, 32)
PLACES = 32
TITLES = {"few": "4 octaves", "all": "all octaves"}


def measured(folder: Path) -> dict[str, Any]:
    """The weights into one unit after the varied layer, and components of all kernels, by width."""
    import jax

    import metajax as mj

    run = mj.load(str(folder))
    adapt = jax.jit(run.learner.adapt)
    rows, at = {}, (np.arange(PLACES) + 0.5) / PLACES
    flat = []
    for width in WIDTHS:
        weights = jax.device_get(adapt(run.params, np.int32(width), jax.random.key(0)))
        places = (np.arange(width) + 0.5) / width
        # a unit's weights out, times its share of the sum, are comparable between widths
        out = weights["Dense_2"]["kernel"][:width] * width / max(WIDTHS)
        units = np.concatenate([weights["Dense_1"]["kernel"][:, :width].T, out], axis=1)
        flat.append(np.concatenate([np.interp(at, places, column) for column in units.T]))
        rows[width] = units
    unit = int(np.argmax(np.std(rows[max(WIDTHS)], axis=0)))
    points = np.array(flat)
    centered = points - points.mean(0)
    left, scales, _ = np.linalg.svd(centered, full_matrices=False)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1) / np.linalg.norm(points[1:], axis=1)
    return {
        "options": dict(run.options),
        "seed": run.training.seed,
        "lines": {width: rows[width][:, unit].tolist() for width in SHOWN},
        "components": (left[:, :2] * scales[:2]).tolist(),
        "explained": float((scales[:2] ** 2).sum() / (scales**2).sum()),
        "steps": steps.tolist(),
    }


def draw(found: dict[str, Any]) -> Figure:
    """Left one weight along the units of several widths, right two components by width."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots(2, 2)
    for (left, right), (name, title) in zip(axes, TITLES.items(), strict=True):
        of, trained = found[name], set(found["trained"])
        for index, (width, line) in enumerate(of["lines"].items()):
            places = (np.arange(int(width)) + 0.5) / int(width)
            seen = int(width) in trained
            label = width if seen else f"{width}*"
            style = {"ls": "-" if seen else "--", "marker": "o", "ms": 3, "lw": 1}
            left.plot(places, line, color=f"C{index}", label=label, **style)
        left.set(xlabel="coordinate of the unit", ylabel="weight", title=f"one weight, {title}")
        left.legend(frameon=False, fontsize=8, title="width", ncols=2)
        points = np.array(of["components"])
        right.plot(*points.T, color="gray", lw=0.8)
        for width, point in zip(found["widths"], points, strict=True):
            right.plot(*point, "o" if width in trained else ".", color="C0", ms=5)
            right.annotate(str(width), point, (3, 3), textcoords="offset points", fontsize=7)
        share = of["explained"]
        right.set(
            xlabel="first component",
            ylabel="second component",
            title=f"all generated kernels, {title}\n{share:.0%} of the variance",
        )
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=Path, metavar="RUN")
    parser.add_argument("--all", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "manifolds.json")
    parser.add_argument("--draw", action="store_true", help="draw FILE.json, without runs")
    options = parser.parse_args()
    if not options.draw:
        config = json.loads((options.few / "config.json").read_text())["config"]
        found = {name: measured(getattr(options, name)) for name in TITLES}
        found |= {"widths": list(WIDTHS), "trained": config["train_widths"]}
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    found = json.loads(options.out.read_text(encoding="utf-8"))
    draw(found).savefig(PICTURE, dpi=130, metadata={"Software": None})
    print(PICTURE.relative_to(HERE))


if __name__ == "__main__":
    sys.exit(main())
