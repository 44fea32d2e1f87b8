"""The table of a comparison of methods, as text and as Markdown, from its ``compare.json``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from metajax.systems.numbers import aligned, score_at, with_interval
from metajax.systems.show import shown_points
from metajax.systems.standings import Standing, margin, standing

LETTERS = {"seeds": "s", "tasks": "t"}
WIDTH = 120
"""Characters of a line of the table, as many as the page shows."""


class Line(NamedTuple):
    """A line of the table.

    Attributes:
      name: of the method or baseline.
      score: its ``score`` in ``compare.json``; None where no run has one.
      method: what ``compare.json`` says of the method; None for a baseline.
    """

    name: str
    score: dict[str, Any] | None
    method: dict[str, Any] | None = None


def lines_of(content: dict[str, Any]) -> Iterator[Line]:
    """Yield the table's lines: methods, then baselines.

    A baseline that is something else for each method, as weights that are not trained, stands
    there once, of the first method that has it.
    """
    for name, method in content["methods"].items():
        yield Line(name, method["score"], method)
    for baseline in content["baselines"].values():
        yield Line(baseline["title"], baseline)
    own: dict[str, Line] = {}
    for name, method in content["methods"].items():
        for kind, baseline in method["baselines"].items():
            own.setdefault(kind, Line(f"{baseline['title']} ({name})", baseline))
    yield from own.values()


def columns(content: dict[str, Any]) -> list[float]:
    """Return the points of the axis that the table shows, the last of them where all end."""
    points = sorted(
        {point for line in lines_of(content) if line.score for point in line.score["points"]}
    )
    return [points[index] for index in shown_points(points)] if points else []


def cells(
    content: dict[str, Any], points: Sequence[float] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return the table's head and its lines, as text.

    Args:
      content: of ``compare.json``.
      points: of the axis, those to show; None: of :func:`columns`.
    """
    shown = columns(content) if points is None else list(points)
    moves = len(shown) > 1
    head = [
        "method",
        *([f"{point:g}" for point in shown] if moves else [content["metric"] or "score"]),
    ]
    head += ["seeds", "parameters", "train CPU s"]
    several = len(content["seeds"]) > 1
    rows = []
    for line in lines_of(content):
        row = [line.name]
        for point in shown or (None,):
            row.append(_cell(line.score, point, shown, several))
        row += _costs(line.method) if line.method else ["", "", ""]
        rows.append(row)
    return head, rows


def _cell(score: dict[str, Any] | None, point: Any, shown: list[float], several: bool) -> str:
    if score is None:
        return "no score" if point in (None, shown[-1] if shown else None) else ""
    single = len(score["mean"]) == 1
    if single and point != shown[-1]:
        return ""  # what takes no steps stands in the last column, where methods are compared
    if not single and point not in score["points"]:
        return ""
    index = -1 if single else score["points"].index(point)
    letter = f" {LETTERS[score['interval_over'][index]]}" if several else ""
    return with_interval(*score_at(score, index)) + letter


def _costs(method: dict[str, Any]) -> list[str]:
    runs = method["runs"].values()
    good = sum(run["status"] == "done" for run in runs)
    seconds, size = method["train_cpu_seconds"], method["parameters"]
    return [
        f"{good}" if good == len(runs) else f"{good} of {len(runs)}",
        "" if size is None else f"{size:,}",
        "" if seconds is None else f"{seconds:.3g}" if seconds < 100 else f"{seconds:,.0f}",
    ]


def standings(content: dict[str, Any]) -> dict[str, Standing]:
    """Return by how much each method with a score is better than the best baseline of its tasks.

    Args:
      content: of ``compare.json``.
    """
    found = {}
    for name, method in content["methods"].items():
        if method["score"]:
            rows = {"score": method["score"], **method["baselines"], **content["baselines"]}
            found[name] = standing(rows, content["greatest"])
    return {name: one for name, one in found.items() if one is not None}


def title(content: dict[str, Any]) -> str:
    """Return what is compared, in a few words."""
    methods = list(content["methods"])
    named = ", ".join(methods) if len(methods) <= 4 else f"{len(methods)} methods"
    return f"{content['system']}: {named} compared"


def notes(content: dict[str, Any]) -> list[str]:
    """Return what the table's figures are, in a sentence each, and the runs without a score."""
    said = []
    if content["metric"] is not None:
        better = "more" if content["greatest"] else "less"
        along = f" after n {content['axis']} (the columns)" if len(columns(content)) > 1 else ""
        said.append(
            f"{content['setting']}: {content['metric']}{along}, {better} is better, on the same "
            f"new tasks for all; seeds {', '.join(map(str, content['seeds']))}."
        )
    if len(columns(content)) > 1 and any(
        line.score and len(line.score["mean"]) == 1 for line in lines_of(content)
    ):
        said.append(
            "What has a single score, as it takes no such steps, stands in the last column."
        )
    below: dict[str, list[str]] = {}
    for name, found in standings(content).items():
        if found.verdict == "worse":
            below.setdefault(found.baseline, []).append(f"{name} by {margin(found)}")
    if below:
        better = "; ".join(f"{other} than {', '.join(of)}" for other, of in below.items())
        said.append(f"A baseline that needs no meta-training is better: {better}.")
    if len(content["seeds"]) > 1:
        said.append(
            "±: a 95% interval, the wider of two: s over seeds (Student's t), t over tasks."
        )
    else:
        said.append("±: a 95% interval over tasks alone: there is one seed.")
    said.append("train CPU s: of a run, compiling included, the mean over seeds.")
    if any(line.method is None for line in lines_of(content)):
        said.append("Lines without a number of seeds are baselines, which are not meta-trained.")
    scored = [method for method in content["methods"].values() if method["score"]]
    if len(scored) > 1 and any(method["baselines"] for method in scored):
        said.append(
            "A baseline with a method in brackets is that of this method: compare.json has those "
            "of all, and scores.png shows them."
        )
    for name, method in content["methods"].items():
        for seed, run in method["runs"].items():
            if run["status"] != "done":
                said.append(
                    f"Without a score: {name}, seed {seed}: {run['status']}: {run['error']}"
                )
    return said


def plain_text(content: dict[str, Any]) -> str:
    """Return the table with its notes, as plain text.

    Where the table would be too wide for a terminal it shows fewer points of the axis.
    """
    every = shown = columns(content)
    table = aligned([cells(content)[0], *cells(content)[1]])
    while max(map(len, table)) > WIDTH and len(shown) > 2:
        # those near the end are the most alike
        shown = [*shown[:-2], shown[-1]]
        head, rows = cells(content, shown)
        table = aligned([head, *rows])
    said = notes(content)
    if len(shown) < len(every):
        said.insert(1, f"compare.md has the table with {len(every)} columns of scores.")
    wrapped = (textwrap.fill(note, 100, subsequent_indent="  ") for note in said)
    return "\n".join([*table, "", *wrapped])


def markdown(content: dict[str, Any]) -> str:
    """Return the content of ``compare.md``: the table, with baselines in italics, and its notes."""
    head, rows = cells(content)
    for row, line in zip(rows, lines_of(content), strict=True):
        if line.method is None:
            row[:] = [f"*{cell}*" if cell else "" for cell in row]
    table = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    table.insert(1, "|---" * len(head) + "|")
    own = {
        name: ", ".join(f"{field}={value}" for field, value in method["settings"].items())
        for name, method in content["methods"].items()
    }
    return "\n".join(
        [
            f"# {title(content)}",
            "",
            *table,
            "",
            *(f"- {note}" for note in notes(content)),
            *(
                f"- {name}: {method['summary']}" + (f" Here {own[name]}." if own[name] else "")
                for name, method in content["methods"].items()
            ),
            f"- Hardware: {_several(content['hardware'])}.",
            f"- Versions: {_several(content['versions'])}.",
            "",
            "```bash",
            content["command"],
            "```",
            "",
        ]
    )


def _several(values: Sequence[dict[str, Any]]) -> str:
    return "; or ".join(", ".join(f"{name} {of}" for name, of in one.items()) for one in values)
