"""The tables and figures of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats
from quoting import Quoted, bare, markdown, results, within

PAPER = {
    "distilled: 100 queries, theta estimated, momentum constant": (
        "**HyperDistill, gamma .9, theta estimated each meta-step** (1)",
        ".327",
    ),
    "distilled: 100 queries, theta 1": ("**HyperDistill, gamma .9, theta = 1**", ".327"),
    "one_step: 100 queries": ("one-step", ".670"),
    "first_order: 100 queries": ("first-order", ".567"),
    "neumann: 100 queries": ("Neumann, 5 terms, every 10 steps (1)", ".502"),
    "drmad: 100 queries": ("DrMAD (whole horizon, one update a meta-step)", "1.086"),
    "distilled: fresh queries, theta 1": ("HyperDistill, gamma .9, theta = 1", ""),
    "first_order: fresh queries": ("first-order", ""),
}
"""Rows of the sinusoid's table, by their names in its results, with the published figures."""
PAIRED = {
    "as the preset: 10 queries, the same at all 30 updates of a task": "as the preset",
    "**outer loss on 100 queries**": "outer loss on 100 queries",
    "10 new queries at every update": "fresh queries",
    "outer loss on the support": "outer loss on the support",
    "10 new examples at every *inner* step, on new tasks too (no longer 10 shots)": (
        "fresh examples each inner step"
    ),
    "outer rate 3e-3 in place of the stated 1e-3": "stated: outer rate 3e-3",
}
"""Choices of which both methods were judged, by what the README calls them."""
ALONE = {
    "the same, falling to 0 linearly": ["distilled: stated: outer rate 3e-3, to 0"],
    "100 queries: gamma 0, .9, .99, .999, theta = 1": [
        "distilled: 100 queries, gamma 0",
        "distilled: outer loss on 100 queries",
        "distilled: 100 queries, gamma .99",
        "distilled: 100 queries, gamma .999",
    ],
    "100 queries: theta estimated, momentum constant, gamma .9, .99": [
        "distilled: 100 queries, theta estimated, momentum constant",
        "distilled: 100 queries, theta estimated, momentum constant, gamma .99",
    ],
    "100 queries: theta estimated through the momentum, gamma .99": [
        "distilled: 100 queries, theta estimated, gamma .99"
    ],
    "100 queries: Neumann through the momentum, or with it constant": [
        "neumann: 100 queries",
        "neumann: 100 queries, momentum constant",
    ],
    "10 queries, theta estimated, momentum constant, gamma .9": [
        "distilled: theta estimated, momentum constant"
    ],
}
"""Choices without first-order."""
ROWS = {
    "inner loop alone": "inner loop alone",
    "unrolled": "unrolled (segments of 10)",
    "unrolled, all states kept": "unrolled, all states kept",
    "forward": "forward",
    "first-order": "first-order",
    "one-step": "one-step",
    "DrMAD": "DrMAD",
    "Neumann, 20 terms": "Neumann, 20 terms",
    "conjugate gradient, 10": "conjugate gradient, 10 iterations",
    "distilled, gamma .9": "**distilled, gamma .9**",
    "distilled, gamma .99": "**distilled, gamma .99**",
    "ES, 16 pairs": "ES, 16 pairs",
    "PES, 16 pairs, 10 windows": "PES, 16 pairs, 10 windows",
}
DECAYS, RATES = "log weight decays", "log learning rates"
DISTILLED = ("distilled, gamma .9", "distilled, gamma .99")


def triple(found: dict[str, Any], name: str = "median") -> list[float]:
    """A median and its interval."""
    if name == "median" and "low" in found:
        return [found["median"], found["low"], found["high"]]
    return [found["median"], found["median_ci95_low"], found["median_ci95_high"]]


def sinusoid_table(confirm: dict[str, Any]) -> str:
    """Errors of 20 seeds that nothing was chosen on."""
    rows = []
    for key, (name, published) in PAPER.items():
        if key == "distilled: fresh queries, theta 1":
            rows.append(["*10 new queries at every update:*", "", "", "", ""])
        at = confirm[key]["at"]["30"]
        below = sum(error < 0.5 for error in at["errors"])
        bold = "**" if name.startswith("**") else ""
        median = f"{bold}{within(triple(at), 3)}{bold}"
        mean = f"{bare(at['mean'], 3)} ±{bare(at['mean_ci95'], 3)}"
        of = " of 20" if not rows else ""
        rows.append([name, median, mean, f"{below}{of}", published])
    header = ["method, 100 queries", "median [95%]", "mean ±95%", "seeds below .5", "the paper"]
    return markdown(header, rows)


def choices(found: dict[str, Any], curve: dict[str, Any]) -> str:
    """Medians over the seeds that choices were judged on."""

    def median(name: str, at: str = "30") -> str:
        return bare((curve if at != "30" else found)[name]["at"][at]["median"], 3)

    rows = []
    for shown, name in PAIRED.items():
        bold = "**" if shown.startswith("**") else ""
        ours = f"{bold}{median(f'distilled: {name}')}{bold}"
        rows.append([shown, ours, median(f"first_order: {name}")])
    for shown, names in ALONE.items():
        rows.append([shown, ", ".join(median(name) for name in names), ""])
    by_steps = [
        ", ".join(
            bare(curve[f"{method}: as the preset"]["at"][at]["median"], 3)
            for at in ("30", "60", "100")
        )
        for method in ("distilled", "first_order")
    ]
    rows.append(["10 queries, 30, 60, 100 meta-steps", *by_steps])
    return markdown(["choice", "HyperDistill", "first-order"], rows)


def estimators(summary: dict[str, Any], kind: str) -> str:
    """Cosines and cost of every estimator."""
    rows = []
    for key, name in ROWS.items():
        cost = summary[kind]["cost"][key]
        quality = summary[kind]["quality"].get(key)
        if key == "inner loop alone":
            cosines = ["", ""]
        elif quality is None or key == "unrolled":
            cosines = ["1", "1"]  # what the others are compared with
        else:
            cosines = [cosine(quality[name], key) for name in ("cosine_early", "cosine")]
        ratio = cost["ratio_to_inner_loop"]["median"]
        times = "1" if ratio == 1 else bare(ratio, 2 if ratio < 10 else 1)
        ms = f"{cost['cpu_ms']:.{0 if cost['cpu_ms'] >= 200 else 1}f}"
        rows.append([name, *cosines, ms, times, f"{cost['bytes'] / 1000:.0f}"])
    header = [
        kind,
        "cosine, early",
        "cosine, all 50 updates",
        "CPU ms",
        "\N{MULTIPLICATION SIGN} inner loop",
        "kB",
    ]
    return markdown(header, rows)


def cosine(found: dict[str, Any] | None, key: str) -> str:
    """A cosine with its interval; forward's is one but for rounding."""
    if found is None:
        return "undefined"
    return f"{found['median']:.3f}" if key == "forward" else within(triple(found), 3)


def images(methods: dict[str, Any], base: str, header: list[str], names: dict[str, str]) -> str:
    """Accuracies of an image test-bed, and their differences to one method's."""
    rows = []
    for key, name in names.items():
        row = methods[key]

        def spread(half):
            return "" if half is None else f" ±{100 * half:.1f}"

        accuracy = f"{100 * row['mean']:.1f}{spread(row['ci95'])}"
        more = ""
        if f"over_{base}" in row:
            apart = 100 * row[f"over_{base}"]
            sign = "+" if base == "one_step" else ""
            shown = f"{apart:{sign}.1f}" if abs(apart) >= 0.05 else "0.0"
            more = f"{shown}{spread(row[f'over_{base}_ci95'])}"
        seconds = np.mean([run["train_cpu_seconds"] for run in row["runs"].values()])
        seeds = [f"{len(row['runs'])}"] if "seeds" in header else []
        rows.append([name, *seeds, accuracy, more, f"{seconds:.0f}"])
    return markdown(header, rows)


IMAGE_ROWS = {
    "as first drawn, Reptile alone": "as first drawn, the start by Reptile alone",
    "first_order": "first-order",
    "one_step": "one-step",
    "drmad": "DrMAD",
    "neumann": "Neumann, 5 terms",
}


def of_sinusoid(confirm: dict[str, Any], screen: dict[str, Any], ten: dict[str, Any]) -> list[str]:
    """The sentences on the sinusoid."""
    estimated, one = list(PAPER)[:2]
    errors = {name: np.array(confirm[name]["at"]["30"]["errors"]) for name in PAPER}
    groups = {name: errors[name].reshape(4, 5).mean(1) for name in (estimated, one)}
    span = {name: f"{bare(group.min())} to {bare(group.max())}" for name, group in groups.items()}
    first = confirm["first_order: 100 queries"]["at"]["30"]["median"]
    thetas = {
        gamma: screen[f"distilled: 100 queries, theta estimated, momentum constant{more}"]["at"][
            "30"
        ]["theta"]
        for gamma, more in ((".9", ""), (".99", ", gamma .99"))
    }

    def shown(name):
        return within(triple(ten[name]), 3)

    through = [
        ten[f"distilled, gamma {gamma}"]["median"] for gamma in ("0", ".5", ".9", ".99", ".999")
    ] + [ten["distilled, gamma .9, theta every 5"]["median"]]
    neumann = ten["neumann, 5 terms, every 5 steps"]
    ahead = {
        int(np.sum(errors[ours] < errors[rival]))
        for ours in (estimated, one)
        for rival in ("first_order: 100 queries", "one_step: 100 queries")
    }
    between = float(scipy.stats.wilcoxon(errors[estimated], errors[one]).pvalue)
    return [
        f"HyperDistill beats first-order and one-step on {min(ahead)} of the 20 seeds each",
        f"(p = {bare(between)})",
        f"means are {span[estimated]} with theta estimated and {span[one]} with theta = 1",
        f"First-order lies at {bare(first, 3)}",
        f"(median theta {thetas['.9']:.1f} at gamma .9, {bare(thetas['.99'])} at .99;",
        f"HyperDistill with theta = 1 {shown('distilled, gamma .9, theta 1')}",
        f"first-order {shown('first_order')}, one-step {shown('one_step')}, DrMAD {shown('drmad')}",
        f"Neumann {bare(neumann['median'], 3)} [{bare(neumann['median_ci95_low'], 3)}, above 10]",
        f"unrolled {shown('unrolled, whole horizon')} over the whole horizon and "
        f"{shown('unrolled, 10 steps')} 10 steps back",
        f"through the momentum {bare(round(min(through), 2), 3)} to {bare(max(through), 3)}",
        f"no momentum inside {ten['distilled, gamma .9, no momentum']['median']:.1f} and worse",
    ]


def of_estimators(summary: dict[str, Any]) -> list[str]:
    """The sentences on the hypergradients."""

    def values(kind: str, what: str) -> list[float]:
        return [summary[kind]["quality"][name][what]["median"] for name in DISTILLED]

    def cost(kind: str, name: str) -> float:
        return float(summary[kind]["cost"][name]["ratio_to_inner_loop"]["median"])

    costs = {kind: sorted(cost(kind, name) for name in DISTILLED) for kind in (DECAYS, RATES)}
    both = {what: values(DECAYS, what) + values(RATES, what) for what in ("cosine", "cosine_early")}
    lows = [summary[RATES]["quality"][name]["cosine_early"]["low"] for name in DISTILLED]
    size = {
        what: [*values(DECAYS, what), *values(RATES, what)]
        for what in ("norm_ratio", "norm_ratio_theta_from_first_update", "norm_ratio_theta_1")
    }
    a, b, c, d = size["norm_ratio"]
    held = size["norm_ratio_theta_from_first_update"]
    one = size["norm_ratio_theta_1"]
    neumann = summary[DECAYS]["quality"]["Neumann, 20 terms"]["cosine"]["median"]
    ours = values(DECAYS, "cosine")
    theta = [cost(kind, "estimating theta") for kind in (DECAYS, RATES)]
    return [
        f"met for weight decays ({costs[DECAYS][0]:.2f} to {costs[DECAYS][1]:.2f}), narrowly "
        f"missed for learning rates ({costs[RATES][0]:.2f} and {costs[RATES][1]:.2f})",
        f"({bare(min(both['cosine_early']))} to {bare(max(both['cosine_early']))}; for learning "
        f"rates the intervals begin below, at {bare(lows[0])} and {bare(lows[1])})",
        f"**not met** ({bare(min(both['cosine']))} to {bare(max(both['cosine']))})",
        f"({bare(neumann)} against {bare(min(ours))} to {bare(max(ours))}, intervals overlap) at "
        f"{cost(DECAYS, 'Neumann, 20 terms'):.1f} times the inner loop",
        f"{bare(a)} (gamma .9) and {b:.2f} (gamma .99) for weight decays, {bare(c)} and {bare(d)} "
        "for learning rates",
        f"held to the end it is {held[0]:.1f}, {held[1]:.1f}, {bare(held[2])} and {held[3]:.2f}; "
        f"with theta = 1, {one[0]:.1f}, {one[1]:.1f}, {bare(one[2])} and {one[3]:.1f}",
        f"One estimate of theta costs as much as DrMAD: {theta[0]:.1f} and {theta[1]:.1f} inner "
        "loops",
    ]


def along_training(found: dict[str, Any]) -> list[str]:
    """The sentences on where estimators point along training."""
    gain, least = {}, []
    for kind in (DECAYS, RATES):
        early = np.array(found[kind]["points"]) <= 10
        cosines = {
            name: np.array(found[kind]["rows"][name]["cosine"], float)
            for name in ("one-step", "Neumann, 20 terms", *DISTILLED)
        }
        by_seed = {name: np.median(rows[:, early], axis=1) for name, rows in cosines.items()}
        gain[kind] = [by_seed[name] - by_seed["one-step"] for name in DISTILLED]
        least += [np.median(rows, axis=0).min() for rows in cosines.values()]
    ahead = {kind: [int(np.sum(more > 0)) for more in both] for kind, both in gain.items()}
    by = {kind: [bare(float(np.median(more)), 3) for more in both] for kind, both in gain.items()}
    assert ahead[RATES][0] == ahead[RATES][1]
    return [
        f"(medians down to {bare(min(least))})",
        f"higher in {ahead[DECAYS][0]} of 10 seeds (gamma .9) and {ahead[DECAYS][1]} of 10 (.99) "
        f"for weight decays, by a median of {by[DECAYS][0]} and {by[DECAYS][1]}, and in "
        f"{ahead[RATES][0]} of 10 for learning rates, by {by[RATES][0]} and {by[RATES][1]}",
    ]


def of_images(anil: dict[str, Any]) -> list[str]:
    """The sentences on the image test-beds."""
    gain = -100 * anil["as first drawn, Reptile alone"]["over_first_order"]
    return [f"learning the lower blocks online is worth {gain:.0f} points over drawn ones"]


def quoted() -> Quoted:
    """Every table and sentence."""
    search = results("hyperdistill", "results/sinusoid_search.json")
    found = search["screen"] | search["combine"]
    confirm = search["confirm"]
    measured = results("hyperdistill", "results/estimators.json")
    summary = measured["summary"]
    anil, noisy = (
        results("hyperdistill", f"results/{name}_fashion.json")["methods"]
        for name in ("anil", "weights")
    )
    of_anil = {
        "as first drawn, Reptile alone": IMAGE_ROWS["as first drawn, Reptile alone"],
        "random_search, equal compute": "random search, 15 trials, equal compute",
        **IMAGE_ROWS,
        "distilled": "HyperDistill, gamma .9, theta estimated",
        "distilled, theta 1": "HyperDistill, gamma .9, theta = 1",
    }
    of_noisy = {
        "as first drawn, Reptile alone": IMAGE_ROWS["as first drawn, Reptile alone"],
        "random_search, equal compute": "random search, 9 trials, equal compute",
        **{name: shown for name, shown in IMAGE_ROWS.items() if name != "first_order"},
        "distilled": "HyperDistill, gamma .9, norm 1",
    }
    tables = {
        "sinusoid": sinusoid_table(confirm),
        "choices": choices(found, search["curve"]),
        "weight_decays": estimators(summary, DECAYS),
        "learning_rates": estimators(summary, RATES),
        "anil": images(
            anil,
            "first_order",
            ["ANIL, 5 seeds", "accuracy", "over first-order", "CPU s to train"],
            of_anil,
        ),
        "weights": images(
            noisy,
            "one_step",
            [
                "Weights of examples, 40% noise",
                "seeds",
                "accuracy",
                "over one-step",
                "CPU s to train",
            ],
            of_noisy,
        ),
    }
    ten = results("hyperdistill", "results/sinusoid.json")["methods"]
    sentences = of_sinusoid(confirm, found, ten) + of_estimators(summary) + of_images(anil)
    best, first = next(iter(PAPER)), "first_order: 100 queries"
    in_readme = (
        f"**{within(triple(confirm[best]['at']['30']), 3)}**; first-order "
        f"{bare(confirm[first]['at']['30']['median'], 3)}, the paper {PAPER[best][1]}"
    )
    return Quoted(
        tables,
        sentences + along_training(measured["along_training"]),
        {"README.md": [in_readme]},
    )
