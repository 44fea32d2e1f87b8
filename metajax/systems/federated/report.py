"""The report on missions: a table, and the accuracy of clients and of the server by group."""

from __future__ import annotations

from typing import Any

from metajax.systems.axes import keep_fractions, legend_outside, make_axes, style
from metajax.systems.numbers import numbers, said
from metajax.systems.show import (
    Figure,
    captioned,
    first_row,
    score_figure,
    told,
    training_figures,
)

GROUPS = {
    "known": "all classes that are known",
    "base": "classes known before the missions",
    "earlier": "classes of earlier missions",
    "new": "classes of this mission",
}
"""Groups of classes, in words."""


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by known classes, by group, and what is sent."""
    more = evaluation["more"]
    lines = ["Accuracy after the last mission, of the server and of a client before the merge:"]
    for name, words in GROUPS.items():
        server, client = (said(more[of][name][-1], ".3f") for of in ("server", "client"))
        lines.append(f"  {words}: {server}, {client}")
    sums, features = (said(more["bytes"][of], ",.0f") for of in ("sums", "features"))
    apart = said(more["central_difference"], ".1e")
    lines += [
        f"All clients send {sums} bytes in all missions, {more['numbers_a_class']:,} numbers a "
        "class.",
        f"The features of their examples would be {features} bytes.",
        f"Merged prototypes are {apart} from those of all examples at one place.",
        f"Means over {first_row(evaluation)['n']} draws of all missions.",
    ]
    return told(evaluation, ".", lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by known classes, and by group."""
    caption = "Accuracy by known classes, with 95% intervals over draws of the missions."
    trained = training_figures(history, "accuracy on new tasks", "linear")
    return [score_figure(evaluation, caption), captioned(groups, evaluation), *trained]


def groups(evaluation: dict[str, Any]) -> Any:
    """Accuracy by group of classes: the server after each merge, clients (hollow) before it."""
    canvas, axes = make_axes(evaluation["axis"], evaluation["metric"], "linear")
    points = numbers(evaluation["points"])
    more = evaluation["more"]
    for index, (name, words) in enumerate(GROUPS.items()):
        color = style(index)["color"]
        axes.plot(points, numbers(more["server"][name]), color=color, marker="o", label=words)
        client = numbers(more["client"][name])
        axes.plot(points[1:], client, color=color, ls="none", marker="s", mfc="none")
    keep_fractions(axes, evaluation["metric"])
    legend_outside(canvas, axes)
    return canvas
