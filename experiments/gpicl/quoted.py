"""The tables and figures of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, results

from metajax.systems.gpicl import in_rows

FIRST = {
    "digits": "digits (3 ways, 24 examples, 2^20 tasks, 4,000 steps)",
    "cpu": "cpu (10 ways, 32 examples, 2^20 tasks, 12,000 steps)",
    "memorise": "memorise (cpu with 2^6 tasks)",
}
LEARNERS = {
    "vsml": "VSML, 1,000 steps at 3e-3",
    "transformer": "Transformer",
    "maml": "MAML (Adam inside, one example a step)",
    "lstm": "LSTM",
    "sgd": "SGD from scratch",
    "outer_product_lstm": "outer-product LSTM",
    "mlp": "MLP, context-free",
}


def gain(found: dict[str, Any]) -> str:
    """A gain in points of accuracy, with its interval."""
    return f"{100 * found['gain']:+.1f} ±{100 * found['gain_ci95']:.1f}"


def percent(value: float) -> str:
    """An accuracy."""
    return f"{100 * value:.1f}"


def presets(runs: dict[str, list[Any]]) -> str:
    """Runs of three presets, by seed."""
    rows = []
    for preset, found in runs.items():
        for place, run in enumerate(found):
            scores, more = (run["eval"][part] for part in ("rows", "more"))
            known = preset == "memorise"  # before any example, so that it gains nothing
            rows.append(
                [
                    FIRST[preset] if place == 0 else preset,
                    str(run["config"]["seed"]),
                    percent(scores["unseen"]["mean"][0]),
                    percent(more["unseen"]["last"]),
                    gain(more["unseen"]) if known else f"**{gain(more['unseen'])}**",
                    f"{percent(scores['seen']['mean'][0])} at the first position, "
                    f"{percent(more['seen']['last'])} over the last ten"
                    if known
                    else gain(more["seen"]),
                    gain(more["nearest_neighbour"]),
                    f"{run['summary']['cpu_seconds']:.0f}",
                ]
            )
    header = [
        "preset",
        "seed",
        "first position",
        "last ten",
        "gain, unseen",
        "gain, seen",
        "1-nearest-neighbor gain",
        "CPU s",
    ]
    return markdown(header, rows)


CLOSED = {
    "nearest_neighbour": "1-nearest-neighbor",
    "k_nearest": "5 nearest neighbors vote",
    "class_means": "nearest class mean",
    "linear_ridge": "linear ridge",
    "kernel_ridge": "kernel ridge",
    "lda": "LDA",
    "logistic": "logistic regression",
}


def ahead(found: dict[str, Any]) -> str:
    """A paired lead in points of accuracy, with its interval."""
    return f"{100 * found['lead']:+.1f} ±{100 * found['lead_ci95']:.1f}"


def symmetric(runs: list[Any], transformer: dict[str, Any]) -> str:
    """The main command: its seeds, and what it is compared with on the same sequences."""
    evals = [run["eval"]["more"] for run in runs]
    rows = [
        [
            f"**symmetric_ridge**, seed {run['config']['seed']}",
            f"**{percent(more['unseen']['last'])}**",
            "",
            f"{run['summary']['cpu_seconds']:.0f}",
        ]
        for run, more in zip(runs, evals, strict=True)
    ]
    for name, shown in CLOSED.items():
        leads = "; ".join(ahead(more[name]) for more in evals)
        rows.append([shown, percent(evals[0][name]["last"]), leads, ""])
    more, spent = transformer["eval"]["more"], transformer["summary"]["cpu_seconds"]
    rows.append(
        [
            "the paper's Transformer, 4,000 steps",
            percent(more["unseen"]["last"]),
            "",
            f"{spent:.0f}",
        ]
    )
    head = [
        "3 ways of digits, 24 examples",
        "last ten",
        "lead of symmetric_ridge, by seed",
        "CPU s",
    ]
    return markdown(head, rows)


SETS = {
    "unseen": "Fashion-MNIST, trained on",
    "other.mnist_5k": "MNIST, 5,000 images, never seen",
    "other.digits": "digits, never seen",
    "other.random": "ten noise images, never seen",
}


def of_table(runs: list[Any]) -> str:
    """Tasks of the paper's sizes, by set and seed."""
    rows = []
    for name, shown in SETS.items():
        prefix = "" if name == "unseen" else f"{name}."
        ends = [run["eval"]["rows"][name] for run in runs]
        half = max(end["high"][-1] - end["mean"][-1] for end in ends)
        evals = [run["eval"]["more"] for run in runs]
        hundredth = "; ".join(percent(end["mean"][-1]) for end in ends)
        row = [
            shown,
            f"**{hundredth}** ±{100 * half:.1f}",
            "; ".join(percent(more[name]["last"]) for more in evals),
        ]
        for other in ("nearest_neighbour", "kernel_ridge", "lda"):
            last = percent(evals[0][f"{prefix}{other}"]["last"])
            leads = "; ".join(ahead(more[f"{prefix}{other}"]) for more in evals)
            row.append(f"{last} ({leads})")
        rows.append(row)
    head = ["tasks over", "100th example, by seed", "last ten, by seed"]
    return markdown([*head, "1-NN, last ten (lead)", "kernel ridge (lead)", "LDA (lead)"], rows)


def of_aims(runs: list[Any]) -> list[str]:
    """The sentences on what was aimed at, on cost and on what the baselines were told."""
    found = []
    for name, aim in (("unseen", 0.73), ("other.mnist_5k", 0.78)):
        ends = [run["eval"]["rows"][name] for run in runs]
        mean = np.mean([end["mean"][-1] for end in ends])
        half = max(end["high"][-1] - end["mean"][-1] for end in ends)
        found.append(f"{100 * mean:.1f} ±{100 * half:.1f} ({100 * (mean - aim):+.1f})")
    summary = runs[0]["summary"]  # another seed's evaluation was a run of its own
    train, every = (f"{summary[part]:.0f}" for part in ("train_cpu_seconds", "cpu_seconds"))
    return [
        f"Fashion-MNIST {found[0]}, MNIST {found[1]}",
        f"{train} s of CPU for training, {every} in all",
    ]


def learners(runs: list[Any]) -> str:
    """The learners of preset digits, seed 0."""
    found = {run["eval"]["method"]: run for run in runs}
    rows = []
    for name, shown in LEARNERS.items():
        if name == "sgd":
            rows.append([shown, gain(runs[0]["eval"]["more"]["sgd"]), "", "", "", ""])
            continue
        more = found[name]["eval"]["more"]
        new = more["unseen"]
        bold = "**" if name == "transformer" else ""
        numbers = [f"{more[size]:,}" for size in ("parameters", "state_size")]
        cpu = f"{found[name]['summary']['cpu_seconds']:.0f}"
        rows.append([shown, f"{bold}{gain(new)}{bold}", percent(new["last"]), *numbers, cpu])
    return markdown(["learner", "gain, unseen", "last ten", "parameters", "state", "CPU s"], rows)


def of_vsml(run: Any, transformer: Any) -> list[str]:
    """The sentence on VSML."""
    own, theirs = (of["eval"]["more"] for of in (run, transformer))
    ahead = 100 * (own["unseen"]["last"] - theirs["unseen"]["last"])
    behind = own["nearest_neighbour"]
    return [
        f"ends {ahead:.1f} points ahead of the Transformer with a "
        f"{theirs['parameters'] / own['parameters']:.0f}th of its weights, and "
        f"{-100 * behind['lead']:.1f} ±{100 * behind['lead_ci95']:.1f} behind 1-nearest-neighbor, "
        f"which finds {percent(behind['last'])}"
    ]


def of_sets(runs: list[Any]) -> list[str]:
    """The sentence on sets that the runs were not trained on."""
    gains = {
        name: sorted(100 * run["eval"]["more"][f"other.{name}"]["gain"] for run in runs)
        for name in ("digits", "random")
    }
    digits, random = ((f"{found[0]:+.1f}", f"{found[-1]:+.1f}") for found in gains.values())
    return [
        f"learn tasks over digits ({digits[0]} to {digits[1]}, last ten minus first) and over ten "
        f"noise images ({random[0]} to {random[1]})"
    ]


def of_phases(runs: list[Any]) -> list[str]:
    """The sentences on the three phases."""
    few = [run for run in runs if run["more"]["num_tasks"] <= 2**6]
    middle = [run for run in runs if run["more"]["num_tasks"] == 2**9]
    many = [run for run in runs if run["more"]["num_tasks"] >= 2**12]
    known = [100 * run["rows"]["seen"]["mean"][0] for run in few]
    in_part = float(np.mean([100 * run["rows"]["seen"]["mean"][0] for run in middle]))
    seen = [f"{100 * run['more']['seen']['gain']:+.1f}" for run in middle]
    new = [f"{100 * run['more']['unseen']['gain']:+.1f}" for run in middle]
    gains = [100 * run["more"]["unseen"]["gain"] for run in many]
    return [
        f"(seen {min(known):.0f} to {max(known):.0f}% at the first position",
        f"memorized in part ({in_part:.0f}%)",
        f"(seen {seen[0]} and {seen[1]}, unseen {new[0]} and {new[1]})",
        f"({min(gains):+.0f} to {max(gains):+.0f})",
    ]


def at_7x7(runs: list[Any]) -> str:
    """What did not work: gains after the last step that all runs of a setting have."""
    settings = {(run["config"]["bias_fraction"], run["config"]["label_scale"]): [] for run in runs}
    for run in runs:
        settings[run["config"]["bias_fraction"], run["config"]["label_scale"]].append(run)
    rows = []
    for (bias, scale), found in settings.items():
        step = max(map(int, found[0]["unseen_gain_by_step"]))
        gains = sorted(run["unseen_gain_by_step"][str(step)] for run in found)
        name = f"bias {bare(bias, 1) if bias else 0}, label_scale {scale:g}"
        shown = " and ".join(bare(one) for one in gains)
        seeds = f" ({len(found)} seeds)" if len(found) > 1 else ""
        rows.append([name + seeds, f"{shown} after {step:,} steps"])
    return markdown(["7x7, 10 ways, 64 sequences a step", "gain on unseen tasks"], rows)


def at_paper_size(run: dict[str, Any]) -> str:
    """The preset paper, as far as it was trained, and what needs no training."""
    more = run["eval"]["more"]
    shown = {"unseen": f"**the paper's Transformer**, {run['summary']['steps']:,} of 50,000 steps"}
    shown |= {"sgd": "SGD from scratch"} | CLOSED
    rows = [[name, percent(more[key]["last"]), gain(more[key])] for key, name in shown.items()]
    return markdown(["10 ways of Fashion-MNIST, 100 examples", "last ten", "gain"], rows)


def of_paper_size(run: dict[str, Any]) -> list[str]:
    """The sentences on the preset paper."""
    curve, summary = run["curve"], run["summary"]
    first, *_, last = (f"{loss:.4f}" for loss in curve["loss"].values())
    low, high = curve["steps_per_second"]
    minutes = [50_000 / rate / 60 for rate in (high, low)]
    return [
        f"the loss fell from {first} (step 500) to {last} (step {curve['steps']:,})",
        f"{low:.0f} to {high:.0f} steps a second while {curve['shared_with_programs']} other "
        f"programs shared the GPU, so 50,000 steps take {minutes[0]:.0f} to {minutes[1]:.0f} "
        f"minutes. Compiling took {summary['compile_seconds']:.0f} s",
    ]


def in_readme(run: dict[str, Any]) -> list[str]:
    """The README's figures of the main command."""
    last = {name: percent(run["eval"]["more"][name]["last"]) for name in ("unseen", *CLOSED)}
    return [f"**{last['unseen']}%**; LDA {last['lda']}%, 1-NN {last['nearest_neighbour']}%"]


def evaluated(name: str) -> list[Any]:
    """Runs of a file of the results, their evaluations in today's layout."""
    runs = results("gpicl", f"results/{name}.json")
    return [run | {"eval": in_rows(run["eval"])} for run in runs]


def quoted() -> Quoted:
    """Every table and sentence."""
    runs = {name: evaluated(name) for name in FIRST}
    others = evaluated("digits_learners")
    vsml = evaluated("digits_vsml")
    every = [runs["digits"][0], *others, *vsml]
    swept = results("gpicl", "results/sweep_tasks.json")
    phases = [in_rows(run.get("eval", run)) for run in swept]
    paper = evaluated("paper")[0]
    return Quoted(
        {
            "symmetric": symmetric(evaluated("digits_symmetric"), runs["digits"][0]),
            "paper_sizes": of_table(evaluated("table")),
            "presets": presets(runs),
            "learners": learners(every),
            "at_7x7": at_7x7(results("gpicl", "results/bias_at_7x7.json")),
            "paper": at_paper_size(paper),
        },
        of_aims(evaluated("table"))
        + of_paper_size(paper)
        + of_vsml(vsml[0], every[0])
        + of_sets(runs["cpu"])
        + of_phases(phases),
        {"README.md": in_readme(evaluated("digits_symmetric")[0])},
    )
