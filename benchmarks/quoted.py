"""The figures of this folder's README that stand in its results: cells of its tables, sentences."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from quoting import Quoted, bare, markdown, within

RESULTS = Path(__file__).parent / "results"


def results(name: str) -> Any:
    """A file of results."""
    return json.loads((RESULTS / name).read_text())


def ratio(found: dict[str, float], digits: int = 2) -> str:
    """A median and its interval."""
    return within([found["median"], found["low"], found["high"]], digits)


def ms(value: float, digits: int) -> str:
    """Milliseconds, given in them."""
    return bare(value, digits) if value < 1000 else f"{value:,.0f}"


def of_gpicl(found: Any) -> list[str]:
    """GPICL against PyTorch."""
    pair = [found[f"cpu_ratio_to_{side}"] for side in ("torch", "torch_erf")]
    cells = ["{:.2f} [{:.2f}, {:.2f}]".format(p["median"], *p["interval_95"]) for p in pair]
    return [f"8 heads of 16 | {cells[0]} | {cells[1]} |"]


def of_in_context(found: Any) -> list[str]:
    """The symmetric learners against a Transformer, and the reader on a large table."""
    learners = found["learners"]
    last = learners["symmetric_ridge"]
    rows = [
        f"| Transformer, width {last['transformer_width']} | "
        f"{last['transformer_million_operations']:.0f} | "
        f"{last['transformer_milliseconds']['median']:.1f} | |"
    ]
    for name, one in learners.items():
        rows.append(
            f"| {name} | {one['million_operations']:.0f} | {one['milliseconds']['median']:.1f} | "
            f"{ratio(one['over_transformer'])} |"
        )
    first, again = (found["reader"][turn]["cpu_seconds"] for turn in ("first", "again"))
    memory = found["reader"]["largest_mb"] / 1000
    return [
        *rows,
        f"{first:.1f} CPU seconds with compiling, {again:.1f} without, and {memory:.2f} GB",
    ]


def of_first_step(found: Any) -> list[str]:
    """CPU seconds to the first step."""

    def numbers(cache: str, part: str) -> list[float]:
        values = [run[part] for run in found[cache]]
        return [statistics.median(values), min(values), max(values)]

    rows = []
    for cache, shown, digits in (("cold", "cold compilation cache", 1), ("warm", "warm", 2)):
        imports, step = numbers(cache, "imports"), numbers(cache, "first_step")
        build = numbers(cache, "build")[1:]
        middle, low, high = (bare(value) for value in imports)
        took = [f"{value:.{digits}f}" for value in step]
        rows.append(
            f"| {shown} | {middle} ({low} to {high}) | {bare(build[0])} to {bare(build[1])} | "
            f"{took[0]} ({took[1]} to {took[2]}) |".replace(" 0.", " .")
        )
    over = sum(run["first_step"] > 2 for run in found["warm"])
    return [*rows, f"not in {over} of the {len(found['warm'])}"]


def of_loop(found: Any) -> list[str]:
    """`fit` against a scan."""
    low, high = found["quartiles"]
    return [
        f"took {found['median_ratio']:.3f} times the CPU time",
        f"(quartiles {bare(low, 3)} to {bare(high, 3)};",
    ]


def of_hypergradients(found: Any) -> list[str]:
    """HyperDistill's cost and memory, and gradhpo."""
    sentences = []
    for problem in found["cost"]["problems"].values():
        for row in problem["rows"]:
            sentences.append(cost_row(row))
    for row in found["memory"].values():
        sizes = [f"{row[size] / 1000:,.0f} kB" for size in ("bytes_100", "bytes_1000")]
        digits = 2 if row["ratio"] < 2 else 1
        sentences.append(f"| {sizes[0]} | {sizes[1]} | {row['ratio']:.{digits}f} |")
    peer = found["gradhpo"]
    took, over = peer["compiled_cpu_seconds"], peer["compiled_cpu_ratio_metajax_over_gradhpo"]
    for name, ours, digits in (
        ("gradhpo, theta 1, batches lie ready", "metajax, theta 1", 2),
        ("gradhpo, theta 1", "metajax, theta 1", 3),
        ("gradhpo, theta every 10", "metajax, theta every 10", 3),
    ):
        sentences.append(
            f"| {bare(took[ours], 3)} | {bare(took[name])} | {ratio(over[name], digits)} |"
        )
    cold = peer["cold_cpu_seconds_with_compilation"]
    pairs = {name: [f"{value:.1f}" for value in values] for name, values in cold.items()}
    ours, constant, demo = (" and ".join(values) for values in pairs.values())
    return [
        *sentences,
        f"took {ours} s against {constant} s",
        f"against {demo} s with the demo's falling rate",
    ]


def cost_row(row: dict[str, Any]) -> str:
    """A row of the cost of HyperDistill."""
    ours = row["distilled"]
    each = ours["cpu_ratio_to_outer_gradient_each_step"]["median"]
    return (
        f"| {row['every']} | {row['plain_us']:.0f} | {ratio(ours['cpu_ratio'])} | "
        f"{bare(ours['flops_ratio'])} | {bare(each)} |"
    )


def of_fewshot(found: Any) -> list[str]:
    """MAML's meta-steps."""
    second, first = (found[f"maml, {order} order"]["rows"] for order in ("second", "first"))

    def cell(rows: Any, name: str, of_ms: int, of_ratio: int) -> str:
        row = rows[name]
        took = ms(row["cpu_ms_per_step"]["median"], of_ms)
        return f"{took} | {ratio(row['over_metajax_many_steps'], of_ratio)} |"

    digits = {
        "metajax, a step per dispatch": (1, 2, 2, 2),
        "JAX by hand, many steps per dispatch": (1, 2, 2, 2),
        "PyTorch, batched by hand": (1, 2, 1, 2),
        "torch.func, gradient of vmap": (0, 1, 1, 1),
        "torch.func, vmap of grad": (0, 1, 1, 1),
        "PyTorch, task by task": (0, 0, 0, 0),
        "learn2learn": (0, 1, 0, 0),
        "higher": (0, 0, 0, 0),
        "JAX by hand, a step per dispatch": (1, 2, 2, 2),
    }
    sentences = [f"| {cell(second, 'torchopt', 0, 0)}"]
    for name, (a, b, c, d) in digits.items():
        sentences += [f"| {cell(second, name, a, b)}", f"| {cell(first, name, c, d)}"]
    for name in (
        "torch.func, vmap of grad",
        "PyTorch, task by task",
        "learn2learn",
        "torchopt",
        "higher",
    ):
        sentences.append(f"| {cell(found['conv']['rows'], name, 0, 2)}")
    return sentences


def of_hamiltonian(found: Any) -> list[str]:
    """Hamiltonian meta-steps and roll-outs."""
    return [
        f"| {found[name]['metajax_cpu_ms']['median']:.0f} | "
        f"{found[name]['torch_cpu_ms']['median']:,.0f} | "
        f"{ratio(found[name]['torch_over_metajax'], digits)} | "
        f"{found['compile_cpu_seconds'][name]:.{compiled}f} CPU s |"
        for name, digits, compiled in (("meta-step", 1, 0), ("roll-out", 0, 1))
    ]


def of_hypernet(found: Any) -> list[str]:
    """A hypernetwork and a PINN."""
    sentences = []
    for name in ("metajax, one batch", "PyTorch", "PyTorch, GELU by erf"):
        cells = [
            f"{found['encoder'][part][name]['cpu_ms']['median']:.0f} | "
            f"{ratio(found['encoder'][part][name]['over_metajax'])} |"
            for part in ("forward", "with_backward")
        ]
        sentences.append(f"| {cells[0]} {cells[1]}")
    pinn = found["pinn"]
    for name, row in pinn["step"].items():
        if name == "metajax":
            continue
        took = row["cpu_ms"]["median"]
        over = ratio(row["over_metajax"], 2 if row["over_metajax"]["median"] < 10 else 1)
        step = f"| {took:.{0 if took >= 100 else 1}f} | {over} |"
        if name in pinn["derivatives"]:
            alone = pinn["derivatives"][name]
            step = f"| {alone['cpu_ms']['median']:.1f} | {ratio(alone['over_metajax'])} {step}"
        sentences.append(step)
    return sentences


def of_manufactured(found: Any) -> list[str]:
    """Random problems and their derivatives."""
    samples, derivatives = found["samples"], found["derivatives"]
    sentences = []
    for name, shown in (("supervised", "with a solution"), ("unsupervised", "without")):
        both = [samples[f"{how}, {name}"] for how in ("vmap", "map")]
        fastest = max(one["quoted over it"] for one in both)
        took = [f"{1000 * one['median']:.1f}" for one in both]
        quoted = f"{1000 * samples['quoted'][name]:.0f}"
        sentences.append(f"| {shown} | {took[0]} | {took[1]} | {quoted} | {fastest:.0f} |")
    for name, digits in (
        ("forward on forward", 1),
        ("grad and hessian", 0),
        ("jax.experimental.jet", 0),
    ):
        row = derivatives[name]
        points = derivatives["points"] * derivatives["expressions"]
        sentences.append(
            f"| {1e9 * row['seconds'] / points:.0f} | {ratio(row['over jets'], digits)} |"
        )
    return sentences


def of_profiles(found: dict[str, Any]) -> list[str]:
    """Where a step's time goes."""
    sentences = []
    for system, one in found.items():
        step = one["parts"]["step"]
        took = 1000 * step["seconds"]
        shown = f"{took:.0f}" if took >= 100 else f"{took:.1f}"
        peak = 100 * step["gflop"] / step["seconds"] / one["peak_gflops"]
        compiled = step["compile_seconds"]
        sentences += [
            f"| {system}, `{one['command'].split('--preset ')[1].split()[0]}` | {shown} |",
            f"| {compiled:.{0 if compiled >= 20 else 1}f} | "
            f"{bare(step['gflop'], 3 if step['gflop'] < 1 else 2)}",
            f"| {step['megabytes']:.{0 if step['megabytes'] >= 90 else 1}f} | {peak:.0f}% |",
        ]
    return sentences


def of_solves(found: Any) -> list[str]:
    """Adapting by a solved head, and mapped solves against batched ones."""

    def cell(part: dict[str, float], digits: int) -> str:
        return "{:.{n}f} [{:.{n}f}, {:.{n}f}]".format(
            *(part[end] for end in ("median", "low", "high")), n=digits
        )

    adapt, sizes = found["adapt"], found["solves"]
    rows = [
        f"| {cell(adapt[kind]['milliseconds'], 3)} | {cell(adapt[kind]['sgd_over_this'], 1)} |"
        for kind in ("values", "values_and_slopes")
    ]
    rows.append(f"| {cell(adapt['sgd']['milliseconds'], 3)} | 1 |")
    for name, parts in sizes.items():
        kind, size = name.rsplit(" ", 1)
        title = "Cholesky" if kind == "cholesky" else kind
        shape = " x ".join(size.split("x"))
        pair = (cell(parts[way]["mapped_over_batched"], 2) for way in ("forward", "gradient"))
        rows.append(f"| {title} {shape} | {' | '.join(pair)} |")
    return rows


def of_solve(found: Any) -> dict[str, str]:
    """Solving the published PDEs, compared with finite elements and with the version before."""
    rows = []
    for name, parts in found["benchmarks"].items():
        now, older = parts["features"], parts["older"]
        meshed = parts.get("finite_elements")
        cells = [
            f"{part['error']:.0e} in {part['cold_cpu_seconds']:.2g} s" for part in (now, older)
        ]
        fem = f"{meshed['error']:.0e} in {meshed['cold_cpu_seconds']:.2g} s" if meshed else ""
        again = f"{now['again_cpu_seconds']:.2g} s"
        ratio = f"{older['cold_cpu_seconds'] / now['cold_cpu_seconds']:.1f}"
        rows.append([name, cells[0], again, cells[1], ratio, fem])
    header = ["problem", "now", "again", "before", "times faster", "scikit-fem"]
    return {"solve": markdown(header, rows)}


def of_continual(found: Any) -> dict[str, str]:
    """Tasks in sequence: all of them, and what a late one costs."""
    rows = [
        [
            name,
            str(one["tasks"]),
            f"{one['cpu_minutes']:.1f}",
            f"{60 * one['of_evaluation']:.0f}",
            f"{statistics.median(one['each_later_task']):.1f}",
            f"{one['late_over_early']:.2f}",
            str(one["compiled_after_the_first_task"]),
        ]
        for name, one in found["methods"].items()
    ]
    header = ["method", "tasks", "CPU minutes", "of them evaluation, s", "a task, s"]
    header += ["late task over early one", "programs compiled after the first task"]
    return {"continual": markdown(header, rows)}


def of_experts(found: Any) -> tuple[dict[str, str], list[str]]:
    """All experts on all rows, compared with the layer and with gathered rows."""
    rows, costs = [], []
    for one in found["layers"]:
        for what, title in (("forward", "forward"), ("gradient", "with the gradient")):
            over = one[f"dense_over_{what}"]
            cells = [ratio(over[name]) for name in ("layer", "gathered", "gathered, exact")]
            rows.append([f"{one['experts']} experts, {title}", *cells])
            took = one["milliseconds"]
            costs.append(took[f"gathered {what}"]["median"] / took[f"layer {what}"]["median"])
    header = ["all experts on all rows", "over the layer", "over gathered", "over gathered, exact"]
    sentence = f"Gathered rows cost {min(costs):.1f} to {max(costs):.1f} times the layer"
    return {"experts": markdown(header, rows)}, [sentence]


def of_generated(found: Any) -> tuple[dict[str, str], list[str]]:
    """Generators of ten million weights, compared with their products."""
    rows = [
        [
            form.replace("_", "-"),
            f"{one['parameters'] / 1e6:.1f} million",
            *(f"{1e3 * one['seconds'][name]['median']:.1f}" for name in ("generator", "products")),
            ratio(one["ratio"]),
        ]
        for form, one in found["forms"].items()
    ]
    header = ["heads", "parameters", "generator, ms", "products alone, ms", "ratio"]
    weights = found["forms"]["dense"]["weights"]
    sentence = f"A target of {weights / 1e6:.1f} million weights"
    return {"generated_weights": markdown(header, rows)}, [sentence]


def quoted() -> Quoted:
    """Every cell and sentence."""
    profiles = {
        name: results(f"profiles/{name}.json")
        for name in ("gpicl", "hyperdistill", "hamiltonian", "fewshot", "hypino")
    }
    experts, cost = of_experts(results("experts.json"))
    generated, size = of_generated(results("generated_weights.json"))
    return Quoted(
        of_solve(results("solve.json"))
        | of_continual(results("continual.json"))
        | experts
        | generated,
        [
            *cost,
            *size,
            *of_gpicl(results("gpicl_step_base.json")),
            *of_in_context(results("in_context.json")),
            *of_first_step(results("first_step.json")),
            *of_loop(results("loop_overhead.json")),
            *of_hypergradients(results("hypergradients.json")),
            *of_fewshot(results("fewshot.json")),
            *of_hamiltonian(results("hamiltonian.json")),
            *of_hypernet(results("hypernet.json")),
            *of_solves(results("solves.json")),
            *of_manufactured(results("manufactured.json")),
            *of_profiles(profiles),
        ],
    )
