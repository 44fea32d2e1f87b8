"""Evaluations of older versions, in today's layout: early committed results are kept in theirs."""

from __future__ import annotations

from typing import Any

from metajax.systems.gpicl.evaluate import FIGURES, KINDS, TITLES, by_position, over


def in_rows(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return an evaluation of any version, among them the committed results, in today's layout.

    Args:
      evaluation: of ``eval.json``.
    """
    if "rows" in evaluation:
        return evaluation
    rows: dict[str, Any] = {}
    known = ("base_set", "ways", "num_tasks", "chance", "parameters", "state_size")
    more = {name: evaluation[name] for name in known}
    # evaluations of older versions do not say why
    more["left_out"] = {
        name: evaluation.get("left_out", {}).get(name, "not on disk, or too few classes")
        for name, found in evaluation["other_sets"].items()
        if found is None
    }

    def add(name: str, title: str, found: dict[str, Any], baseline: bool = False) -> None:
        rows[name] = {"title": title, **by_position(found)._asdict(), "baseline": baseline}
        more[name] = {figure: found[figure] for figure in FIGURES}

    for kind in KINDS:
        add(kind, TITLES[kind], evaluation[kind])
    for name, found in evaluation["baselines"].items():
        add(name, TITLES[name], found, baseline=True)
    for name, found in evaluation["other_sets"].items():
        if found is not None:
            set_tasks = over(name, found.get("split"))
            add(f"other.{name}", f"unseen {set_tasks}", found)
            for baseline, other in found["baselines"].items():
                title = f"1-nearest-neighbor, {set_tasks}"
                add(f"other.{name}.{baseline}", title, other, baseline=True)
    setting = f"{evaluation['ways']} ways of {evaluation['base_set']}"
    return {"method": evaluation["learner"], "setting": setting, "rows": rows, "more": more}
