"""The tables and figures of this folder's README, and of the system's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, power, results, within

from metajax.physics.pde import PUBLISHED
from metajax.systems.hypino.report import PAPER

NAMES = {
    "zero": "zero everywhere",
    "model": "one pass, {}",
    "refined_3": "refined 3 rounds, {}",
    "refined_10": "refined 10 rounds, {}",
    "head": "best head, one network (32 features), {}",
    "head_10": "best head, 10 rounds (352), {}",
    "head_10_and_random": "best head, 10 rounds and 352 random, {}",
    "random_equal": "352 random features",
    "random_twice": "704 random features",
    "random": "2000 random features",
}
DECODERS = {
    "tiny": "weights of a network (HyPINO)",
    "tiny_unet": "U-Net",
    "tiny_pino": "Fourier neural operator (PINO)",
}
PARAMETERS = {"tiny": 581_213, "tiny_unet": 506_557, "tiny_pino": 688_749}
"""Of preset tiny, by decoder; a run does not note them."""
PUBLISHED_ARRAYS = {"HT": 8.5e-6, "PS-L": 5.8e-5}
"""By how much published reference arrays miss the exact solution; they are not in `results/`."""
SYSTEM = "metajax/systems/hypino/README.md"


def minutes(run: Any) -> str:
    """CPU minutes of a run."""
    return f"{run['summary']['cpu_seconds'] / 60:.0f}"


def error(run: Any) -> str:
    """Its median error on new problems, with the interval."""
    new = run["new_problems"]
    return within([new["median_relative"], new["low"], new["high"]], 3)


def new_problems(runs: dict[str, Any]) -> str:
    """The presets on new problems."""
    shown = {"tiny": "`tiny`", "cpu": "`cpu`, which comes with the package"}
    rows = [
        [
            name,
            power(runs[run]["config"]["learning_rate"], 0),
            f"{runs[run]['summary']['steps']:,}",
            error(runs[run]),
            minutes(runs[run]),
        ]
        for run, name in shown.items()
    ]
    return markdown(["preset", "learning rate", "meta-steps", "error", "CPU minutes"], rows)


def decoders(runs: dict[str, Any]) -> str:
    """The decoders of preset tiny."""
    constant = bare(runs["cpu"]["new_problems"]["constant_relative"], 3)
    rows = [
        [
            name,
            f"{PARAMETERS[run]:,}",
            power(runs[run]["config"]["learning_rate"], 0),
            error(runs[run]),
            constant,
            minutes(runs[run]),
        ]
        for run, name in DECODERS.items()
    ]
    header = [
        "decoder, preset `tiny`",
        "parameters",
        "learning rate",
        "error",
        "best constant",
        "CPU minutes",
    ]
    return markdown(header, rows)


def cells(value: Callable[[str], float | None]) -> list[str]:
    """A number for each of the published benchmarks, empty where there is none."""
    found = [value(name) for name in PUBLISHED]
    return ["" if one is None else power(one) for one in found]


def benchmarks(runs: dict[str, Any]) -> str:
    """Mean squared errors of every way, and the published ones."""

    def row(run: str, way: str, shown: str) -> list[str]:
        found = runs[run]["benchmarks"]
        errors = cells(lambda name: found[name][way]["mse"] if name in found else None)
        # of the runs of one preset, one was timed on a quiet machine
        seconds = [case[way]["cpu_seconds"] for case in runs["tiny"]["benchmarks"].values()]
        median = float(np.median(seconds))
        cpu = bare(median, 2 if median < 0.1 else 1) if median and "decoder" not in shown else ""
        return [shown, *errors, cpu]

    rows = [row("cpu", "zero", NAMES["zero"])]
    for way, name in NAMES.items():
        if "{}" in name:
            rows += [row(run, way, name.format(f"`{run}`")) for run in ("tiny", "cpu")]
        if way in ("model", "refined_3"):
            rows += [
                row(f"tiny_{kind}", way, name.format(f"{shown} decoder, `tiny`"))
                for kind, shown in (("unet", "U-Net"), ("pino", "PINO"))
                if way == "model" or kind == "pino"
            ]
    rows += [row("cpu", way, NAMES[way]) for way in ("random_equal", "random_twice", "random")]
    for name, errors in PAPER.items():
        rows.append([name, *cells(errors.__getitem__), ""])
    return markdown(["way", *PUBLISHED, "CPU s"], rows)


def starts(found: dict[str, Any]) -> str:
    """A generated start compared with two others."""
    kinds = {"generated": "generated", "reptile": "Reptile"}
    rows = []
    for start, shown in kinds.items():
        stages: list[tuple[str, Callable[[Any], float]]] = [
            ("at first", lambda case, start=start: case["curves"][start][0]),
            ("Adam", lambda case, start=start: case["curves"][start][-1]),
            ("L-BFGS", lambda case, start=start: case["polished"][start]),
        ]
        for place, (stage, value) in enumerate(stages):
            errors = cells(lambda name, value=value: value(found[name]))
            rows.append([shown if place == 0 else "", stage, *errors])
    seeds = [f"random_{seed}" for seed in range(2)]
    for stage in ("Adam", "L-BFGS"):
        errors = [
            ", ".join(
                power(case["curves"][seed][-1] if stage == "Adam" else case["polished"][seed])
                for seed in seeds
            )
            for case in (found[name] for name in PUBLISHED)
        ]
        rows.append(["random" if stage == "Adam" else "", stage, *errors])
    steps = [
        ", ".join(
            ">1000" if number > 1000 else str(number)
            for number in found[name]["random_steps_to_generated"]
        )
        for name in PUBLISHED
    ]
    rows.append(["*steps of Adam for random to begin as generated*", "", *steps])
    return markdown(["start", "", *PUBLISHED], rows)


def solvers(found: dict[str, Any]) -> str:
    """`metajax solve` and finite elements, with the published figures."""

    def of_solve(what: str) -> Callable[[str], float | None]:
        return lambda name: found[name]["random_features"][what]

    def of_elements(level: int, what: str) -> Callable[[str], float | None]:
        def value(name: str) -> float | None:
            meshes = found[name]["finite_elements"]
            return meshes[level][what] if meshes else None

        return value

    def whole(value: Callable[[str], float | None]) -> list[str]:
        numbers = [value(name) for name in PUBLISHED]
        return ["" if one is None else f"{one:.0f}" for one in numbers]

    rows = [
        ["`metajax solve`, error inside the domain", *cells(of_solve("mse"))],
        ["the same as published: averaged over the square", *cells(of_solve("mse_square"))],
        ["CPU seconds", *whole(of_solve("cpu_seconds"))],
        ["HyPINO 10, published", *cells(PAPER["HyPINO 10, published"].__getitem__)],
        ["published reference against the exact solution", *cells(PUBLISHED_ARRAYS.get)],
        ["finite elements, coarse, error", *cells(of_elements(0, "mse"))],
        ["CPU seconds", *whole(of_elements(0, "cpu_seconds"))],
        ["halved twice, error", *cells(of_elements(2, "mse"))],
        ["CPU seconds", *whole(of_elements(2, "cpu_seconds"))],
    ]
    return markdown(["", *PUBLISHED], rows)


SCALES = ("random_0.5", "random_1", "random_2", "random_4")
WAYS = {
    "random_0.5": "random, scale .5",
    "random_1": "random, scale 1",
    "random_2": "random, scale 2",
    "random_4": "random, scale 4",
    "by_residual": "random, scale chosen for each problem by the residual at other points",
    "oracle": "random, best of the four scales for each problem (an oracle)",
    "placed": "random, bending inside the square",
    "random_improved": "random, scale 2, and 10 Gauss-Newton steps",
    "chosen_few": "chosen among 512 random ones",
    "learned": "**chosen among 512 learned ones** (`--method chosen`)",
    "chosen_many": "**chosen among 1,024 random ones**",
    "chosen_improved": "**the same and 10 Gauss-Newton steps**",
}
"""How few features are found."""


def in_readme(run: Any) -> list[str]:
    """The README's figures of the shipped network."""
    constant = bare(run["new_problems"]["constant_relative"], 3)
    return [f"**{error(run)}** in one pass; the best constant {constant}"]


def few_features(found: dict[str, Any], names: dict[str, str]) -> str:
    """Errors of few features with a solved head, and ratios to random ones, by how they are found.

    Args:
      found: of `few_features.py` or `solved_features.py`.
      names: by way, in the order of the rows.
    """
    rows = []
    for num, part in found["new_problems"]["by_number"].items():
        known = found["benchmarks"]["by_number"][num]
        for way, name in names.items():
            if way in part["ways"]:
                new, old = part["ways"][way], known["ways"][way]
                rows.append(
                    [
                        num,
                        name,
                        within(new["error"], 3),
                        within(new["ratio"]),
                        within(new["ratio_to_oracle"]),
                        bare(old["error"][0], 3),
                        within(old["ratio"]),
                    ]
                )
    header = [
        "features",
        "how they are found",
        "error, new problems",
        "times better than the best scale",
        "than the oracle",
        "error, benchmarks",
        "times better than the best scale",
    ]
    return markdown(header, rows)


MADE = {
    "solved_before": "the hypernetwork's, as first drawn",
    "solved": "**the same, trained through the solve** (`--method solved`)",
    "solved_shipped_before": "the shipped hypernetwork's",
    "solved_shipped": "**the same, trained further through the solve** (`--start shipped`)",
    "distribution_before": "random, a quarter of each scale",
    "distribution": "**random, by a distribution made for the problem** (`--method distribution`)",
    "oracle": "random, best of the four scales for each problem (an oracle)",
    "distribution_before_chosen": "chosen among 512 random, a quarter of each scale",
    "distribution_chosen": "**chosen among 512 by a distribution made for the problem**",
    "distribution_before_chosen_improved": "chosen among 512 random, and 10 Gauss-Newton steps",
    "distribution_chosen_improved": "chosen among 512 by the distribution, and 10 such steps",
}
"""How a hypernetwork makes few features."""


def made_in_docs(found: dict[str, Any]) -> list[str]:
    """The rows of docs/solved_heads.md on hypernetworks, of 32 and 64 features."""
    parts = [found["new_problems"]["by_number"][num]["ways"] for num in ("32", "64")]
    names = {
        "solved": "made by a hypernetwork that was trained through the solve",
        "distribution": "random, by a distribution that a hypernetwork makes for the problem",
    }
    rows = {
        name: [within(ways[way]["error"], 3) if way in ways else "" for ways in parts]
        for way, name in names.items()
    }
    return [markdown([name, *cells], []).splitlines()[0] for name, cells in rows.items()]


def of_made_features(found: dict[str, Any]) -> list[str]:
    """The sentences on features that a hypernetwork makes."""
    new, known = (found[kind]["by_number"] for kind in ("new_problems", "benchmarks"))

    def ratio(part: Any, way: str, num: str = "32") -> str:
        return within(part[num]["ways"][way]["ratio"])

    def fell(name: str) -> str:
        losses = found["trained"][name]["log_error"]
        return f"from {bare(losses[0])} to {bare(losses[-1])}"

    def minutes(name: str) -> str:
        return bare(found["trained"][name]["train_cpu_seconds"] / 60, 1)

    by_number = [ratio(new, "distribution", num) for num in ("32", "64", "128")]
    return [
        f"{ratio(new, 'solved')} times better than random ones on new problems, and "
        f"{ratio(known, 'solved')} on the benchmarks",
        f"from the shipped weights {ratio(new, 'solved_shipped')} and "
        f"{ratio(known, 'solved_shipped')}",
        f"{by_number[0]}, {by_number[1]} and {by_number[2]} times better at 32, 64 and 128",
        f"the logarithm of the error fell {fell('solved')} as drawn, {fell('solved_shipped')} from "
        f"the shipped weights and {fell('distribution')} for the distribution",
        f"{minutes('solved')}, {minutes('solved_shipped')} and {minutes('distribution')} CPU "
        "minutes",
    ]


def few_in_docs(found: dict[str, Any]) -> list[str]:
    """The rows of docs/solved_heads.md, of 32 and 64 features."""
    parts = [found["new_problems"]["by_number"][num]["ways"] for num in ("32", "64")]
    best = [
        min(
            (ways[way]["error"] for way in ways if way in SCALES),
            key=lambda error: error[0],
        )
        for ways in parts
    ]
    names = {
        "learned": "chosen for the problem among 512 meta-trained ones",
        "chosen_many": "chosen for the problem among 1,024 random ones",
        "chosen_improved": "the same, moved by 10 Gauss-Newton steps",
    }
    rows = {"random, the best of four scales": best}
    rows |= {name: [ways[way]["error"] for ways in parts] for way, name in names.items()}
    return [
        "| " + " | ".join([name, *(within(one, 3) for one in errors)]) + " |"
        for name, errors in rows.items()
    ]


def more_features(found: dict[str, Any]) -> str:
    """Random features in greater number, with the time of one problem."""
    times = found["cpu_milliseconds"]
    new, known = (found[kind]["by_number"] for kind in ("new_problems", "benchmarks"))
    most = max(new, key=int)

    def row(name: str, milliseconds: float, errors: tuple[Any, Any]) -> list[str]:
        return [name, f"{milliseconds:.0f}", *(bare(error[0], 3) for error in errors)]

    def of(num: str, way: str) -> tuple[Any, Any]:
        return new[num]["ways"][way]["error"], known[num]["ways"][way]["error"]

    rows = [
        row(f"{num} random, scale 4", times[f"solve {num}"], of(num, "random_4")) for num in new
    ]
    for num in map(str, found["options"]["more"]):
        errors = tuple(
            found[k]["more_random"][f"random {num}"] for k in ("new_problems", "benchmarks")
        )
        rows.append(row(f"{num} random, scale 4", times[f"solve {num}"], errors))
    for way, name in (("chosen_few", "512"), ("chosen_many", "1,024")):
        spent = times[way] + times[f"solve {most}"]
        rows.append(row(f"{most} chosen among {name}", spent, of(most, way)))
    return markdown(["features", "CPU ms", "error, new problems", "error, benchmarks"], rows)


def of_few_features(found: dict[str, Any]) -> list[str]:
    """The sentences on few features."""
    new, known = (found[kind]["by_number"] for kind in ("new_problems", "benchmarks"))

    def ratios(part: Any, way: str) -> str:
        each = [
            within(part[num]["ways"][way]["ratio"], 1) for num in part if way in part[num]["ways"]
        ]
        return ", ".join(each[:-1]) + " and " + each[-1]

    return [
        f"{ratios(new, 'chosen_many')} times better on {new['32']['n']} new problems",
        f"{ratios(known, 'chosen_many')} on the seven benchmarks",
        f"(32 and 64 features) {ratios(new, 'chosen_improved')}, and "
        f"{ratios(known, 'chosen_improved')}",
    ]


def number(count: int) -> str:
    """A small number in words."""
    return ("none", "one", "two", "three", "four", "five", "six", "seven")[count]


def of_benchmarks(runs: dict[str, Any]) -> list[str]:
    """The sentences under the table of benchmarks."""
    found = runs["cpu"]["benchmarks"]

    def mse(name, way):
        return found[name][way]["mse"]

    best = PAPER["HyPINO 10, published"]

    def ahead(way: str, bar: Callable[[str], float]) -> list[str]:
        return [name for name in PUBLISHED if mse(name, way) < bar(name)]

    beaten = ahead("head_10", best.__getitem__)
    as_published = [n for n in PUBLISHED if found[n]["head_10"]["mse_square"] < best[n]]
    assert beaten == as_published
    equal = ahead("random_equal", lambda name: mse(name, "head_10"))
    twice = ahead("random_twice", lambda name: mse(name, "head_10_and_random"))
    above_zero = ahead("head_10", lambda name: mse(name, "zero"))
    shares = [
        bare(found[n]["zero"]["mse_square"] / found[n]["zero"]["mse"])
        for n in ("HZ-G", "PS-C", "PS-L")
    ]
    return [
        f"by {shares[0]} for HZ-G, {shares[1]} for PS-C and {shares[2]} for PS-L",
        f"half of whose problems are 0 on the edge: {power(mse('HT', 'model'))}, below the "
        f"published network's {power(PAPER['HyPINO, published']['HT'])}",
        f"beats the zero predictor on all {number(len(above_zero))}",
        f"and the published HyPINO 10 on {number(len(beaten))}**",
        f"352 random features have the lower error on all {number(len(equal))}, and 704 random "
        f"ones that of 352 generated and 352 random on {number(len(twice))}",
    ]


def of_starts(found: dict[str, Any], tuned: dict[str, Any]) -> list[str]:
    """The sentences under the table of starts."""
    nearer = {
        name: min(case["polished"][f"random_{seed}"] for seed in range(2))
        / case["polished"]["generated"]
        for name, case in found.items()
    }
    faster = {name: case["random"] / case["generated"] for name, case in tuned.items()}
    ended = ", ".join(power(tuned[name]["generated"]) for name in PUBLISHED)
    one, other = (
        ", ".join(f"{times(ratios[name])} on {name}" for name in PUBLISHED)
        for ratios in (nearer, faster)
    )
    return [f"times nearer than the better random one: {one}", f"times nearer: {other} ({ended})"]


def times(ratio: float) -> str:
    """How many times nearer."""
    return f"{ratio:.1f}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"


def of_solvers(found: dict[str, Any]) -> list[str]:
    """The sentences under the table of solvers."""
    best = PAPER["HyPINO 10, published"]
    for what in ("mse", "mse_square"):
        assert all(found[name]["random_features"][what] < 0.1 * best[name] for name in PUBLISHED)
    parts = {name: best[name] / apart for name, apart in PUBLISHED_ARRAYS.items()}
    return [
        "miss the exact solution by mean squares of "
        f"{power(PUBLISHED_ARRAYS['HT'])} and {power(PUBLISHED_ARRAYS['PS-L'])}",
        f"HyPINO 10 is only {parts['HT']:.1f} and {parts['PS-L']:.1f} times that",
    ]


def of_shipped(found: dict[str, Any]) -> list[str]:
    """The sentences on the shipped hypernetwork in the system's README."""
    new, zero, solved = (found[n] for n in ("new_problems", "new_problems_zero_edge", "solved"))

    def span(part: str, what: str) -> str:
        values = [case[what] for case in found[part].values()]
        return f"{bare(min(values))} to {bare(max(values))}"

    example = found["with_data"]["exp(x) cos(y), square less a disk"]
    return [
        f"one pass has a median error of {bare(new['one_pass'])} on {new['n']} of them",
        f"The best constant has {bare(new['constant'])}, and is nearer on "
        f"{new['worse_than_constant']} of them",
        f"over the same 512 points have {bare(new['random_32'])}, 352 have "
        f"{bare(new['random_352'])}",
        f"On the first {solved['n']} of them one pass has {bare(solved['one_pass'])}",
        f"`metajax solve` takes without any training, {power(solved['random_2000'])}; one pass "
        f"is nearer on {solved['one_pass_ahead']}",
        f"errors of {span('zero_edge', 'error')} on fifteen problems",
        f"On {zero['n']} new random problems with u = 0 on the square's edge, or on its sides "
        f"where y is time, its median is {bare(zero['one_pass'])} (best constant "
        f"{bare(zero['constant'])})",
        f"it solves to {span('with_data', 'error')} (best constant "
        f"{span('with_data', 'constant')})",
        f"Its `error` is {bare(example['error'])}; that of the best constant is "
        f"{bare(example['constant'])}.",
    ]


def quoted() -> Quoted:
    """Every table and sentence."""
    runs = {
        name: results("hypino", f"results/{name}.json")
        for name in ("tiny", "cpu", "tiny_unet", "tiny_pino")
    }
    solved = results("hypino", "results/solvers.json")["benchmarks"]
    tuned = results("hypino", "results/starts.json")["benchmarks"]
    few = results("hypino", "results/few_features.json")
    moved = results("hypino", "results/few_features_128.json")
    made = results("hypino", "results/solved_features.json")
    of_moved = [
        within(moved[kind]["by_number"]["128"]["ways"]["chosen_improved"]["ratio"], 1)
        for kind in ("new_problems", "benchmarks")
    ]
    tables = {
        "new_problems": new_problems(runs),
        "decoders": decoders(runs),
        "benchmarks": benchmarks(runs),
        "few_features": few_features(few, WAYS),
        "made_features": few_features(made, MADE),
        "more_features": more_features(few),
        "starts": starts(tuned),
        "solvers": solvers(solved),
    }
    constant = runs["cpu"]["new_problems"]["constant_relative"]
    sentences = [
        f"has {bare(constant)} on such problems",
        *of_benchmarks(runs),
        *of_starts(tuned, runs["cpu"]["tuned"]),
        *of_solvers(solved),
        *of_few_features(few),
        *of_made_features(made),
        f"make it {of_moved[0]}, and {of_moved[1]} on the benchmarks",
    ]
    shipped = results("hypino", "results/shipped.json")
    one_pass = bare(shipped["new_problems"]["one_pass"])
    elsewhere = {
        "README.md": in_readme(runs["cpu"]),
        "docs/solved_heads.md": [*few_in_docs(few), *made_in_docs(made)],
        SYSTEM: of_shipped(shipped),
        "metajax/systems/hypino/model.py": [f"its median relative error is {one_pass}"],
    }
    return Quoted(tables, sentences, elsewhere)
