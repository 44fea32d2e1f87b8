"""The tables and figures of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
from quoting import Quoted, bare, markdown, results, within

STARTS = {
    "maml": "meta-trained (MAML)",
    "joint": "pre-trained",
    "random": "weights as first drawn",
}
TYPES = {
    "mass_spring": "mass-spring",
    "pendulum": "pendulum",
    "henon_heiles": "Henon-Heiles",
    "magnetic_mirror": "magnetic mirror",
    "two_body": "two bodies",
    "three_body": "three bodies",
}
OF_FIVE = {
    "maml": "MAML",
    "meta_sgd": "Meta-SGD",
    "joint": "pre-trained",
    "random": "weights as first drawn",
    "direct": "MAML, no energy",
}
COLUMNS = (
    ("sgd_0.1", "coordinates", 1),
    ("sgd_0.1", "coordinates", 2),
    ("sgd_0.1", "coordinates_early", 2),
    ("sgd_0.1", "energy", 2),
    ("adam_0.001", "coordinates", 2),
)
"""Of the six types: what adapts, what is measured, and after which of the numbers of steps."""
Start = tuple[str, str]
"""Weights, and what adapts them."""


def geometric_mean(values: list[float]) -> list[float]:
    """Geometric mean and its 95% interval, by Student's t of the logarithms."""
    logs = np.log(values)
    half = scipy.stats.t.ppf(0.975, len(logs) - 1) * scipy.stats.sem(logs)
    return np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]).tolist()


def over_seeds(runs: list[dict[str, Any]], rate: str, what: str, step: int) -> list[float]:
    """Geometric mean over seeds with its 95% interval, which is over systems for a single seed."""
    rows = [run[rate][what] for run in runs]
    if len(rows) == 1:
        return [rows[0][bound][step] for bound in ("mean", "low", "high")]
    return geometric_mean([row["mean"][step] for row in rows])


def last(content: Any, start: Start, what: str, seed: str, step: int = -1) -> float:
    """A seed's error after the last step."""
    name, rate = start
    return float(content["starts"][name][seed][rate][what]["mean"][step])


def mean(content: Any, start: Start, what: str = "coordinates", step: int = 2) -> list[float]:
    """Mean over seeds and its interval."""
    return over_seeds(list(content["starts"][start[0]].values()), start[1], what, step)


def over(content: Any, start: Start, other: Start, what: str = "coordinates") -> list[float]:
    """One start's error over another's after the last step, seed by seed, with its interval."""
    both = sorted(content["starts"][start[0]].keys() & content["starts"][other[0]].keys())
    return geometric_mean(
        [last(content, start, what, seed) / last(content, other, what, seed) for seed in both]
    )


def interval(found: list[float], digits: int | None = None) -> str:
    """A mean with its interval, with two digits after the point from 1 on and else three."""
    texts = [f"{x:.{(2 if x >= 1 else 3) if digits is None else digits}f}" for x in found]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def pendulum(content: Any) -> dict[str, str]:
    """Both tables of the first section."""
    columns = (("coordinates", 1), ("coordinates", 2), ("coordinates_early", 2), ("energy", 2))
    rows = [
        [name, *(interval(mean(content, (start, "sgd_0.2"), *column), 4) for column in columns)]
        for start, name in STARTS.items()
    ]
    fitted = content["polynomial"]
    errors = [
        f"{fitted[what]['mean']:.4f}" for what in ("coordinates", "coordinates_early", "energy")
    ]
    rows.append(["polynomial energy, ridge regression", "", *errors])
    rates = {name: name.replace("_0.", " .").replace("sgd", "SGD") for name in content["rates"]}
    rates |= {"adam_0.001": "Adam 1e-3", "adam_0.003": "Adam 3e-3"}
    by_rate = [
        [name, *(interval(mean(content, (start, rate)), 3) for rate in rates)]
        for start, name in STARTS.items()
    ]
    header = ["start", "10 steps", "50 steps", "first 2 s, 50 steps", "energy, 50 steps"]
    return {
        "pendulum": markdown(header, rows),
        "pendulum_rates": markdown(["start", *rates.values()], by_rate),
    }


def inner_rates(content: Any) -> str:
    """The table of inner rates, of seed 0."""
    named = {
        "rate_1e-3": "mean, 1e-3",
        "rate_.05": "mean, .05",
        "maml": "mean, .1",
        "sum_1e-3": "sum, 1e-3: at a mean of 200 residuals, .2",
        "rate_1": "mean, 1",
        "joint": "pre-trained",
    }
    rows = []
    for start, name in named.items():
        row = content["starts"][start]["0"]["sgd_0.1"]["coordinates"]
        cells = [[row[bound][step] for bound in ("mean", "low", "high")] for step in (1, 2)]
        rows.append([name, *(interval(cell, 3) for cell in cells)])
    return markdown(["inner loss and rate in training", "10 steps", "50 steps"], rows)


def six_types(contents: dict[str, Any]) -> dict[str, str]:
    """Both tables of all six types."""
    rows, ratios = [], []
    for held_out, content in contents.items():
        for place, (start, name) in enumerate(OF_FIVE.items()):
            seeds = content["starts"][start]
            # Meta-SGD adapts at its own rates, whatever the column says
            columns = COLUMNS[:-1] if start == "meta_sgd" else COLUMNS
            cells = [interval(mean(content, (start, rate), *at)) for rate, *at in columns]
            cells += [""] * (len(COLUMNS) - len(columns))
            seen = name + (" (1 seed)" if len(seeds) == 1 else "")
            rows.append([TYPES[held_out] if place == 0 else "", seen, *cells])
        fitted = content["polynomial"]
        errors = [f"{fitted[what]['mean']:.4f}" for _, what, _ in COLUMNS[1:4]]
        rows.append(["", f"polynomial of degree {fitted['degree']}", "", *errors, ""])
        sgd, adam = "sgd_0.1", "adam_0.001"
        pairs = [
            (("maml", sgd), ("joint", sgd)),
            (("maml", adam), ("joint", adam)),
            (("maml", sgd), ("random", sgd)),
            (("meta_sgd", sgd), ("joint", sgd)),
            (("meta_sgd", sgd), ("maml", sgd)),
            (("meta_sgd", sgd), ("joint", adam)),
        ]
        cells = [interval(over(content, *pair), 2) for pair in pairs]
        ratios.append([TYPES[held_out], *cells])
    header = [
        "held out",
        "start",
        "SGD .1, coordinates: 10 steps",
        "50 steps",
        "first 2 s, 50 steps",
        "energy, 50 steps",
        "Adam 1e-3, coordinates: 50 steps",
    ]
    ratio_header = [
        "held out",
        "MAML over pre-trained, both SGD .1",
        "both Adam 1e-3",
        "MAML over random, both SGD .1",
        "Meta-SGD over pre-trained with SGD .1",
        "Meta-SGD over MAML with SGD .1",
        "Meta-SGD over pre-trained with Adam 1e-3",
    ]
    return {"six_types": markdown(header, rows), "six_ratios": markdown(ratio_header, ratios)}


SOLVED = {
    "first_drawn": "features as first drawn, solved head",
    "adapted": "meta-trained features, solved head",
    "with_monomials": "the same with monomials",
    "polynomial": "polynomial",
}


def solved_score(runs: dict[str, Any], row: str, what: str = "50") -> list[float]:
    """A row's error over the seeds of a type: after so many points, or ``energy`` after 50.

    The polynomial depends on no seed: its interval is over systems.
    """
    kept = [run["rows"][row] for run in runs.values()]
    scores = [one["energy"] if what == "energy" else one["by_shots"].get(what) for one in kept]
    if None in scores:
        return []
    if row == "polynomial" or len(scores) == 1:
        return [scores[0][bound][0] for bound in ("mean", "low", "high")]
    return geometric_mean([score["mean"][0] for score in scores])


def solved(content: Any, contents: dict[str, Any]) -> dict[str, str]:
    """Both tables of energies with a solved head."""
    rows, ratios = [], []
    for held_out, runs in content["runs"].items():
        meta_sgd = mean(contents[held_out], ("meta_sgd", "sgd_0.1"))
        energies = mean(contents[held_out], ("meta_sgd", "sgd_0.1"), "energy")
        cells = [interval(meta_sgd, 3), interval(energies, 3), "", "", ""]
        rows.append([TYPES[held_out], "Meta-SGD, 50 steps", *cells])
        for row, name in SOLVED.items():
            if row == "polynomial":
                name += f" of degree {next(iter(runs.values()))['degree']}"
            found = [solved_score(runs, row, what) for what in ("50", "energy", "25", "10", "5")]
            rows.append(["", name, *(interval(one, 4) if one else "" for one in found)])
        adapted = solved_score(runs, "adapted")[0]
        few = [solved_score(runs, row, "5")[0] for row in ("adapted", "polynomial")]
        union = solved_score(runs, "with_monomials")[0]
        parts = [
            adapted / meta_sgd[0],
            adapted / solved_score(runs, "first_drawn")[0],
            adapted / solved_score(runs, "polynomial")[0],
            union / solved_score(runs, "polynomial")[0],
            few[0] / few[1],
        ]
        ratios.append([TYPES[held_out], *(bare(part, 3 if part < 0.1 else 2) for part in parts)])
    header = ["held out", "energy", "coordinates, 50 points", "energy, 50 points"]
    header += ["coordinates, 25 points", "10 points", "5 points"]
    ratio_header = [
        "held out",
        "over Meta-SGD",
        "over features as first drawn",
        "over the polynomial",
        "with monomials, over the polynomial",
        "over the polynomial, both 5 points",
    ]
    return {"solved": markdown(header, rows), "solved_ratios": markdown(ratio_header, ratios)}


def solved_in_docs(content: Any) -> list[str]:
    """The rows of docs/solved_heads.md."""
    types = ("pendulum", "henon_heiles", "magnetic_mirror")
    names = {
        "first_drawn": "features as first drawn, solved",
        "adapted": "**meta-trained features, solved** (`linear_energy`)",
        "with_monomials": "**the same with monomials**",
    }
    found = {
        name: [interval(solved_score(content["runs"][held_out], row), 4) for held_out in types]
        for row, name in names.items()
    }
    return ["| " + " | ".join([name, *cells]) + " |" for name, cells in found.items()]


def solved_in_readme(content: Any, contents: dict[str, Any]) -> list[str]:
    """The README's figures: a pendulum from 50 points."""
    run = content["runs"]["pendulum"]
    solved_error, polynomial = (
        bare(solved_score(run, row)[0], 4) for row in ("adapted", "polynomial")
    )
    stepped = bare(mean(contents["pendulum"], ("meta_sgd", "sgd_0.1"))[0], 3)
    return [f"**{solved_error}**, Meta-SGD {stepped}; fitted polynomial {polynomial}"]


def variants(content: Any) -> str:
    """The table of runs that were evaluated otherwise."""
    rows = [
        [
            name.replace("_", " "),
            *(
                interval([found[row][end][0] for end in ("mean", "low", "high")], 4)
                for row in SOLVED
            ),
        ]
        for name, found in content["variants"].items()
    ]
    return markdown(["evaluated on", *SOLVED.values()], rows)


def of_pendulum(content: Any, slower: Any) -> list[str]:
    """The sentences of the first two sections."""
    maml, joint, random = ((name, "sgd_0.2") for name in STARTS)
    by_joint, by_random = over(content, maml, joint), over(content, maml, random)
    faster = ("joint", "sgd_0.8")
    few = {rate: mean(content, ("joint", rate), step=1)[0] for rate in content["rates"]}
    overshot = mean(content, ("maml", "sgd_0.4"), step=1)[0]
    adam, joint_adam = ("maml", "adam_0.001"), ("joint", "adam_0.001")
    at_first = [bare(mean(content, start, step=0)[0]) for start in (maml, joint)]
    slow = ("maml", "sgd_0.1")
    slow_over = [over(slower, slow, (name, "sgd_0.1"))[0] for name in ("joint", "random")]
    fitted = content["polynomial"]["coordinates"]["mean"]
    return [
        f"MAML's error is {within(by_joint)} of the pre-trained network's and "
        f"{within(by_random)} of random weights'",
        f"SGD at .8 brings the pre-trained network to {bare(mean(content, faster)[0], 3)}, and "
        f"MAML's error is {within(over(content, maml, faster))} of that",
        f"it stays ahead: {bare(mean(content, maml, step=1)[0], 3)} after ten, where the "
        f"pre-trained network's best is {bare(min(few.values()), 3)} (SGD at "
        f"{min(few, key=lambda rate: few[rate]).removeprefix('sgd_0')})",
        f"MAML's error is {within(over(content, adam, joint_adam))} times its at 1e-3 over ten "
        f"seconds, and {within(over(content, adam, joint_adam, 'coordinates_early'))} times over "
        "the first two",
        f"(error {at_first[0]} against {at_first[1]})",
        f"**The polynomial beats them all** ({bare(fitted, 4)})",
        f"{bare(mean(content, maml)[0], 4)}, {bare(by_joint[0])} and {bare(by_random[0], 3)} meet "
        "it in the mean",
        f"{within(mean(slower, slow), 4)}, {bare(slow_over[0])} and {bare(slow_over[1])}",
        f"as .4 does above after ten steps ({bare(overshot)})",
    ]


def span(values: list[float], digits: int = 2) -> str:
    """From the least to the largest of some numbers."""
    return f"{bare(min(values), digits)} to {bare(max(values), digits)}"


def of_six(contents: dict[str, Any]) -> list[str]:
    """The sentences under the tables of all six types."""
    sgd, adam, early = "sgd_0.1", "adam_0.001", "coordinates_early"
    two, three = contents["two_body"], contents["three_body"]
    four = [contents[name] for name in list(TYPES)[:4]]

    def overs(start: Start, other: Start) -> list[float]:
        return [over(content, start, other)[0] for content in four]

    without_energy = {
        name: mean(content, ("direct", sgd), "energy")[0]
        / mean(content, ("maml", sgd), "energy")[0]
        for name, content in contents.items()
        if name != "three_body"
    }
    least, most = (choose(without_energy, key=without_energy.get) for choose in (min, max))
    times = {
        name: min(mean(content, (start, rate))[0] for start in OF_FIVE for rate in (sgd, adam))
        / content["polynomial"]["coordinates"]["mean"]
        for name, content in contents.items()
    }
    by_adam = [
        bare(mean(contents[name], (start, adam))[0], 3)
        for name in ("mass_spring", "henon_heiles")
        for start in ("direct", "maml")
    ]
    against_joint = [
        over(contents[name], ("maml", rate), ("joint", rate))
        for name in list(TYPES)[:5]
        for rate in (sgd, adam)
    ]
    holding = sum(low < 1 < high for _, low, high in against_joint)
    level = "all" if holding == len(against_joint) else holding
    mirror = over(contents["magnetic_mirror"], ("maml", adam), ("joint", adam))
    adam_over = overs(("meta_sgd", sgd), ("joint", adam))
    assert (TYPES[least], TYPES[most]) == ("Henon-Heiles", "two bodies")
    return [
        f"MAML's error after 50 steps of SGD is {span(overs(('maml', sgd), ('random', sgd)))} of "
        f"theirs on the four types, {span(overs(('maml', adam), ('random', adam)))} with Adam",
        f"(MAML {within(over(two, ('maml', adam), ('random', adam), early))} of random)",
        f"In the ten comparisons without three bodies (SGD and Adam), {level} intervals contain "
        f"1; the mirror with Adam is closest to a difference, {within(mirror)}",
        f"{within(over(two, ('maml', sgd), ('joint', sgd), early))}",
        f"its error is {span(overs(('meta_sgd', sgd), ('joint', sgd)))} of the pre-trained "
        f"network's and {span(overs(('meta_sgd', sgd), ('maml', sgd)))} of MAML's",
        f"by {bare(min(adam_over))} to {bare(max(adam_over), 1)} on those four",
        f"(MAML {within(over(three, ('maml', adam), ('random', adam), early))} of their error)",
        f"{without_energy[least]:.2f} (Henon-Heiles) to {without_energy[most]:.1f} times (two "
        "bodies)",
        f"a spring is nearer ({by_adam[0]} against {by_adam[1]}), Henon-Heiles too "
        f"({by_adam[2]} against {by_adam[3]}, one seed)",
        f"the best network's error is {times['mass_spring']:.0f} (spring) to "
        f"{times['magnetic_mirror']:.0f} times (mirror) as large",
    ]


def quoted() -> Quoted:
    """Every table and sentence."""
    content = results("hamiltonian", "results/one_particle_pendulum.json")
    slower = results("hamiltonian", "results/one_particle_pendulum_rate_.1.json")
    contents = {name: results("hamiltonian", f"results/cpu_{name}.json") for name in TYPES}
    tables = pendulum(content) | {"inner_rates": inner_rates(slower)}
    energies = results("hamiltonian", "results/solved.json")
    tables |= solved(energies, contents)
    tables["solved_variants"] = variants(results("hamiltonian", "results/solved_variants.json"))
    tables |= six_types(contents)
    elsewhere = {
        "docs/solved_heads.md": solved_in_docs(energies),
        "README.md": solved_in_readme(energies, contents),
    }
    return Quoted(tables, of_pendulum(content, slower) + of_six(contents), elsewhere)
