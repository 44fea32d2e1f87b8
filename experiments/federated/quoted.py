"""The tables of this folder's README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

EMBEDDINGS = {
    "prototypes": "trained by episodes",
    "random_embedding": "as first drawn",
    "pixels": "none, raw images",
}
"""Methods of the family, by their embedding."""
CLASSIFIERS = {
    "merged": "prototypes, merged",
    "joint_head": "*softmax head, all examples kept*",
    "sequential_head": "softmax head, round after round",
}
"""Rows of every evaluation, in words."""


def mean_of(values: Sequence[float], digits: int = 3) -> str:
    """A mean over seeds with its 95% interval, by Student's t; alone where all are the same."""
    alone = len(set(values)) == 1
    return bare(float(np.mean(values)), digits) if alone else over_seeds(values, digits)


def of(runs: list[dict[str, Any]], method: str, row: str, place: int = -1) -> list[float]:
    """A row's accuracy at one number of known classes, by seed."""
    own = [run["eval"] for run in runs if run["config"]["method"] == method]
    return [evaluation["rows"][row]["mean"][place] for evaluation in own]


def accuracies(runs: list[dict[str, Any]]) -> str:
    """The accuracy of each embedding and classifier by known classes, and what is sent."""
    points = runs[0]["eval"]["points"]
    places = [1, len(points) // 2, len(points) - 1]
    rows = []
    for method, embedding in EMBEDDINGS.items():
        more = next(run["eval"]["more"] for run in runs if run["config"]["method"] == method)
        for row, words in CLASSIFIERS.items():
            sent = more["bytes"]["sums" if row == "merged" else "features"]
            cells = (mean_of(of(runs, method, row, place)) for place in places)
            rows.append([embedding, words, *cells, f"{sent:,.0f}"])
    chance = (bare(runs[0]["eval"]["rows"]["chance"]["mean"][place], 3) for place in places)
    rows.append(["", "chance", *chance, ""])
    classes = (f"{points[place]:.0f} classes" for place in places)
    return markdown(["embedding", "classifier", *classes, "bytes sent"], rows)


def groups(runs: list[dict[str, Any]]) -> str:
    """The accuracy by group of classes after the last mission: of clients, and of the server."""
    own = [run["eval"]["more"] for run in runs if run["config"]["method"] == "prototypes"]
    rows = []
    for who, words in (
        ("client", "a client, before the merge"),
        ("server", "the server, after it"),
    ):
        cells = (
            mean_of([more[who][group][-1] for more in own])
            for group in ("known", "base", "earlier", "new")
        )
        rows.append([words, *cells])
    return markdown(["", "all known", "base", "of earlier missions", "new"], rows)


def apart(runs: list[dict[str, Any]], method: str) -> str:
    """How far merged prototypes are from central ones, at most."""
    own = [run["eval"]["more"] for run in runs if run["config"]["method"] == method]
    return f"{max(more['central_difference'] for more in own):.1e}"


def quoted() -> Quoted:
    """Every table."""
    omniglot, digits = (
        results("federated", f"results/{name}.json") for name in ("omniglot_small", "digits")
    )

    def last(runs: list[dict[str, Any]], method: str, row: str) -> str:
        return mean_of(of(runs, method, row))

    sentences = [
        f"{last(omniglot, 'prototypes', 'merged')} at 80 classes",
        f"raw images {last(omniglot, 'pixels', 'merged')}",
        f"the same network untrained {last(omniglot, 'random_embedding', 'merged')}",
        f"keeps all examples {last(omniglot, 'prototypes', 'joint_head')}",
        f"does not keep them {last(omniglot, 'prototypes', 'sequential_head')}",
        f"{last(digits, 'prototypes', 'merged')} at 24 classes",
        f"raw images {last(digits, 'pixels', 'merged')}",
        f"keeps all examples {last(digits, 'prototypes', 'joint_head')}",
        f"at most {apart(omniglot, 'prototypes')} and {apart(digits, 'prototypes')} of the largest",
        f"and {apart(digits, 'pixels')} with raw images",
    ]
    headline = (
        f"accuracy on 80 characters that came in missions of five clients, one seed: "
        f"**{last(omniglot, 'prototypes', 'merged')}**; raw images "
        f"{last(omniglot, 'pixels', 'merged')}, a softmax head round after round "
        f"{last(omniglot, 'prototypes', 'sequential_head')}"
    )
    tables = {
        "omniglot": accuracies(omniglot),
        "groups": groups(omniglot),
        "digits": accuracies(digits),
    }
    return Quoted(tables, sentences, {"README.md": [headline]})
