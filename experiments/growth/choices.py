"""What the README says of networks to choose from: supernets, and searches."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from quoting import bare, markdown, over_seeds, results
from scipy import stats

MIXED = {"by": "layer", "codes": "architecture", "steps": 4000}
ARMS = {
    "shared weights": ("supernet", {"steps": 4000}),
    "shared weights, twice the steps": ("supernet", {"steps": 8000}),
    "2 experts, by layer": ("mixture_of_supernets", MIXED),
    "2 experts, by neuron": ("mixture_of_supernets", {**MIXED, "by": "neuron"}),
    "2 experts, by layer, random codes": ("mixture_of_supernets", {**MIXED, "codes": "random"}),
    "2 experts, by layer, twice the steps": ("mixture_of_supernets", {**MIXED, "steps": 8000}),
    "each alone": ("subnetworks_alone", {}),
}


def runs_of(runs: list[dict[str, Any]], method: str, **settings: Any) -> list[dict[str, Any]]:
    """The runs of a method with some settings, in the order of their seeds."""
    wanted = {"method": method, **settings}
    found = [run for run in runs if wanted.items() <= run["config"].items()]
    return sorted(found, key=lambda run: run["config"]["seed"])


class Networks:
    """The networks that runs of a method trained, a run for each seed.

    Attributes:
      names: of the networks.
      flops: of each, for an image.
      accuracy: ``[seeds, networks]``.
      chosen: accuracy of the best, chosen on other images, by seed.
      share: operations of training, as a share of as many steps of the large network.
      seconds: CPU seconds of training, the mean over seeds.
    """

    def __init__(self, found: list[dict[str, Any]]) -> None:
        more = [run["eval"]["more"] for run in found]
        self.names = [one["name"] for one in more[0]["members"]]
        self.flops = np.array([one["flops"] for one in more[0]["members"]])
        self.accuracy = np.array([[one["accuracy"] for one in each["members"]] for each in more])
        self.chosen = np.array([run["eval"]["rows"]["test"]["mean"][0] for run in found])
        self.share = more[0]["flops"] / more[0]["budget"]
        self.seconds = float(np.mean([run["summary"]["train_cpu_seconds"] for run in found]))

    def mean(self) -> str:
        """The mean accuracy of all networks."""
        return over_seeds(self.accuracy.mean(1))


class Supernets:
    """All arms on one set of images.

    Attributes:
      arms: those that were run, by their names in the table.
      alone: every architecture alone.
    """

    def __init__(self, name: str) -> None:
        runs = results("growth", f"results/{name}.json")
        self.arms = {
            title: Networks(found)
            for title, (method, own) in ARMS.items()
            if (found := runs_of(runs, method, **own))
        }
        self.alone = self.arms["each alone"]

    def lost(self, title: str) -> np.ndarray:
        """Mean accuracy that an arm loses compared with training alone, by seed."""
        return (self.alone.accuracy - self.arms[title].accuracy).mean(1)

    def rank(self, title: str) -> str:
        """Rank correlation of an arm's accuracies with those of training alone.

        Training alone is compared with its own other seeds.
        """
        own, other = self.arms[title].accuracy, self.alone.accuracy
        if title == "each alone":
            goals = [np.delete(other, seed, 0).mean(0) for seed in range(len(own))]
        else:
            goals = [other.mean(0)] * len(own)
        return over_seeds(
            [float(stats.spearmanr(a, b)[0]) for a, b in zip(own, goals, strict=True)], 2
        )

    def cells(self, title: str) -> list[str]:
        """An arm's row of the table."""
        arm = self.arms[title]
        lost = "" if title == "each alone" else over_seeds(self.lost(title), 4)
        return [
            arm.mean(),
            lost,
            self.rank(title),
            over_seeds(arm.chosen),
            f"{arm.share:.2f}",
            f"{arm.seconds:.1f}",
        ]


def supernet_table(found: Supernets) -> str:
    """What each way of sharing weights loses, and what it costs."""
    header = [
        "36 architectures",
        "mean accuracy",
        "lost compared with alone",
        "rank correlation",
        "the best, chosen on other images",
        "operations of a step",
        "CPU s",
    ]
    return markdown(header, [[title, *found.cells(title)] for title in found.arms])


class Searches:
    """Searches for a network by random transformations and from scratch, and the whole space.

    Attributes:
      grown: the networks that were grown.
      scratch: the same ones from scratch.
      every: all networks of the space from scratch.
    """

    def __init__(self) -> None:
        runs = results("growth", "results/searches.json")
        self.grown = Networks(runs_of(runs, "transformation_search"))
        self.scratch = Networks(runs_of(runs, "scratch_search", candidates=4))
        self.every = Networks(runs_of(runs, "scratch_search", candidates=None))

    def best(self) -> int:
        """The network of the space with the best mean over seeds."""
        return int(self.every.accuracy.mean(0).argmax())

    def alike(self) -> Float[np.ndarray, "seeds networks"]:
        """Accuracies of the networks that were tried, each trained alone with all steps."""
        rows = [self.every.names.index(name) for name in self.grown.names]
        return self.every.accuracy[:, rows]

    def table(self) -> str:
        """Accuracy of each network of the space, and of those that were chosen."""
        header = ["hidden layers", "operations", "grown", "from scratch", "alone, all steps"]
        rows = []
        for at, name in enumerate(self.every.names):
            cells = [
                over_seeds(each.accuracy[:, each.names.index(name)]) if name in each.names else ""
                for each in (self.grown, self.scratch, self.every)
            ]
            rows.append([name, f"{self.every.flops[at]:,}", *cells])
        means = self.grown.mean(), self.scratch.mean(), over_seeds(self.alike().mean(1))
        rows.append(["mean of the four", "", *means])
        chosen = (over_seeds(each.chosen) for each in (self.grown, self.scratch, self.every))
        rows.append(["chosen", "", *chosen])
        return markdown(header, rows)

    def sentences(self) -> list[str]:
        """What the README says of the searches."""
        best = self.best()
        mean = self.grown.accuracy.mean(1)
        behind = self.grown.chosen - self.every.accuracy[:, best]
        return [
            f"grown networks are {over_seeds(mean - self.scratch.accuracy.mean(1))} ahead",
            f"networks that were chosen, {over_seeds(self.grown.chosen - self.scratch.chosen)}",
            f"alone with all steps, the same four are {over_seeds(self.alike().mean(1) - mean)}",
            f"best of the space is {self.every.names[best]}, with "
            f"{over_seeds(self.every.accuracy[:, best])}",
            f"chosen network that was grown is {over_seeds(behind)}",
        ]


def supernet_sentences(digits: Supernets, fashion: Supernets) -> list[str]:
    """What the README says of supernets."""
    sentences = []
    for found in (digits, fashion):
        plain, twice, layer, neuron = map(found.lost, list(ARMS)[:4])
        sentences += [
            f"shared weights lose {over_seeds(plain, 4)}",
            f"{over_seeds(layer, 4)} with mixtures by layer",
            f"{over_seeds(neuron, 4)} with mixtures by neuron",
            f"{bare(layer.mean() / plain.mean())} and {bare(neuron.mean() / plain.mean())} of it",
            f"twice the steps lose {over_seeds(twice, 4)}",
            f"by layer is {over_seeds(plain - layer, 4)} ahead of shared weights",
            f"by neuron {over_seeds(plain - neuron, 4)}",
        ]
    random = digits.lost("2 experts, by layer, random codes")
    longer = fashion.lost("2 experts, by layer, twice the steps")
    sentences += [
        f"random codes lose {over_seeds(random, 4)}",
        f"mixtures by layer {over_seeds(longer, 4)}",
    ]
    return sentences
