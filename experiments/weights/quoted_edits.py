"""The tables and figures of edits of a generator, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

STEPS = (1, 3, 10, 50)
"""Steps of tuning in the table."""


class Edits:
    """The runs of the results, by method and seed."""

    def __init__(self) -> None:
        self.of: dict[str, list[dict[str, Any]]] = {}
        for run in sorted(results("weights", "results/edits.json"), key=seed_of):
            self.of.setdefault(run["config"]["method"], []).append(run["eval"])

    def errors(self, row: str, place: int = 0, method: str = "weight_edits") -> np.ndarray:
        """Mean squared errors by seed, times 1,000."""
        return 1000 * np.array([run["rows"][row]["mean"][place] for run in self.of[method]])

    def editability(self, row: str, place: int = 0, method: str = "weight_edits") -> np.ndarray:
        """Shares by seed."""
        runs = self.of[method]
        return np.array([run["more"]["editability"][row][place] for run in runs])

    def passes(self, passes: int, unseen: bool = False) -> np.ndarray:
        """Errors after some passes."""
        return self.errors("unseen" if unseen else "test", passes)

    def table(self) -> str:
        """Errors on known and on unseen classes, and editability, of all that was compared."""

        def cells(title: str, known: Any, unseen: Any, editable: Any) -> list[str]:
            return [title, over_seeds(known, 2), over_seeds(unseen, 2), over_seeds(editable, 2)]

        rows = [
            cells(
                f"weight_edits, {passes} pass{'es' if passes > 1 else ''}",
                self.passes(passes),
                self.passes(passes, unseen=True),
                self.editability("test", passes),
            )
            for passes in range(1, len(self.of["weight_edits"][0]["points"]))
        ]
        shared = [self.errors(row, 0, "shared_edit") for row in ("test", "unseen")]
        title = "*shared_edit: weights tuned on all images*"
        rows.append(cells(title, *shared, self.editability("test", 0, "shared_edit")))
        names = {"encoder": "plain reconstruction"}
        for what, title in {"latents": "latent tuned", "weights": "weights tuned"}.items():
            for steps in STEPS:
                names[f"{what}_{steps}"] = f"{title}, {steps} step{'s' if steps > 1 else ''}"
        for row, title in names.items():
            found = self.errors(row), self.errors(f"{row}_unseen"), self.editability(row)
            rows.append(cells(f"*{title}*", *found))
        return markdown(["1,000 x mean squared error", "known", "unseen", "editability"], rows)

    def crossing(self, group: str, passes: int) -> list[dict[str, Any]]:
        """Where tuning the weights gets as far, by seed."""
        runs = self.of["weight_edits"]
        return [run["more"]["crossings"][group][passes - 1] for run in runs]

    def steps(self, group: str, passes: int) -> np.ndarray:
        """Steps of tuning that get as far as passes, by seed."""
        return np.array([each["steps"] for each in self.crossing(group, passes)], float)

    def times(self, group: str, passes: int) -> np.ndarray:
        """Operations of these steps over those of the passes, by seed."""
        found = self.crossing(group, passes)
        return np.array([each["tune_operations"] / each["edit_operations"] for each in found])

    def crossings(self) -> str:
        """When tuning the weights for an image gets as far as some passes."""
        rows = []
        for passes in range(1, len(self.of["weight_edits"][0]["points"])):
            row = [str(passes), bare(self.crossing("known", passes)[0]["edit_operations"] / 1e6)]
            for group in ("known", "unseen"):
                row += [over_seeds(self.steps(group, passes), 1)]
                row += [over_seeds(self.times(group, passes), 1)]
            rows.append(row)
        head = ["passes", "million operations"]
        head += ["steps, known", "operations, times", "steps, unseen", "operations, times"]
        return markdown(head, rows)


def seed_of(run: dict[str, Any]) -> int:
    """The seed of a run."""
    return run["config"]["seed"]


def less(of: np.ndarray, than: np.ndarray) -> str:
    """By which factor errors are smaller, the geometric mean over seeds."""
    return bare(float(np.exp(np.mean(np.log(of / than)))))


def edits() -> Quoted:
    """What this folder's README quotes of edits."""
    of = Edits()
    one, three = of.passes(1), of.passes(3)
    latent = of.errors("latents_50")
    shared = of.errors("test", 0, "shared_edit")
    cost = of.of["weight_edits"][0]["more"]["operations"]
    tuned = of.errors("weights_10"), of.editability("weights_10")
    ahead = over_seeds(tuned[1] - of.editability("test", 3), 2, sign=True)
    sentences = [
        f"{over_seeds(of.steps('known', 3), 1)} steps of tuning reach",
        f"{over_seeds(tuned[0] - three, 2, sign=True)} compared with three passes",
        f"ahead by {ahead} in editability",
        f"{over_seeds(of.editability('encoder'), 2)} for the plain reconstruction",
        f"{over_seeds(of.editability('test', 3), 2)} after three passes",
        f"{over_seeds(of.passes(5) - three, 2, sign=True)} by two passes beyond",
        f"{over_seeds(one - latent, 2, sign=True)} compared with latents tuned for 50 steps",
        f"{over_seeds(one - shared, 2, sign=True)} compared with weights tuned on all images",
        f"{over_seeds(three - one, 2, sign=True)} by two more passes",
        f"{over_seeds(of.times('known', 3), 1)} times the operations",
        f"{over_seeds(of.times('known', 1), 1)} for one pass",
        f"{less(latent, of.errors('encoder'))} of the plain error",
        f"{bare(cost['pass'] / 1e6)} million operations with",
        f"{bare(cost['step'] / 1e6)} million",
    ]
    return Quoted({"edits": of.table(), "crossings": of.crossings()}, sentences, {})
