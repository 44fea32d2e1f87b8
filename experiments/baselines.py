"""Which methods of the committed results are not better than a baseline without meta-training.

The lead over a baseline is paired by seed, with Student's t over seeds. Where there are fewer than
three its interval is over tasks, and takes the two rows as independent. A method counts once on the
same data, at its best setting; one that its docstring calls a baseline counts apart.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from layouts import FEWEST, WITHOUT, Case, cases
from quoting import HERE, bare, markdown, power

from metajax.sweep import over_runs
from metajax.systems import Standing, get_system, rivals
from metajax.systems.numbers import score_at
from metajax.systems.options import summary
from metajax.systems.standings import lead

FAMILIES = (
    "continual",
    "domains",
    "federated",
    "fewshot",
    "gpicl",
    "growth",
    "hamiltonian",
    "hyperdistill",
    "hypino",
    "shift",
    "tables",
    "weights",
)
"""Families that train something; `solve`, `faults` and `launch` do not."""
Kind = Literal["method", "baseline", "setting"]


class Verdict(NamedTuple):
    """A case compared with the best baseline of its tasks.

    Attributes:
      path: of the result, from `experiments/`.
      case: what was compared.
      own: the method's score, its mean and interval.
      other: that of the baseline.
      found: by how much the method is better.
      kind: a method at its best setting on the data, another setting, or itself a baseline.
    """

    path: str
    case: Case
    own: tuple[float, float, float]
    other: tuple[float, float, float]
    found: Standing
    kind: Kind = "method"

    @property
    def family(self) -> str:
        """The system."""
        return self.path.partition("/")[0]

    @property
    def task(self) -> tuple[str, str]:
        """What it shares with other methods: the system, and the data."""
        return self.family, self.case.data

    @property
    def gain(self) -> float:
        """The method's score, with the sign by which more is better."""
        return self.own[0] if self.case.greatest else -self.own[0]


def rivals_of(rows: Rows) -> list[str]:
    """The baselines that the first row is compared with, by name.

    Rows of older results do not say it. There a baseline of other tasks has the row of these in its
    name: ``other.digits.lda``, after a dot that of other sets or runs; ``random_wider``, the row
    ``wider``; ``small_tuned``, the last word of ``test_tuned``. A row ``mean`` is one over points,
    not tasks. One called ``trained`` has seen all data of its task.
    """
    if any("compared_with" in row for row in rows.values()):
        return rivals(rows)
    others = [name for name, row in list(rows.items())[1:] if not row["baseline"]]
    begins = tuple(f"{name}_" for name in others)
    ends = tuple(f"_{name.rpartition('_')[2]}" for name in others if name != "mean")
    return [
        name
        for name, row in rows.items()
        if row["baseline"]
        and name != "trained"
        and "." not in name
        and not name.startswith(begins)
        and not name.endswith(ends)
    ]


def judged(path: str, case: Case) -> Verdict | None:
    """Compare a case with its best baseline; None where there is none."""
    names = [name for name in rivals_of(case.runs[0]) if all(name in rows for rows in case.runs)]
    own = [at_last(next(iter(rows.values()))) for rows in case.runs]
    others = {name: [at_last(rows[name]) for rows in case.runs] for name in names}
    if not others:
        return None
    sign = 1 if case.greatest else -1

    def mean(name: str) -> float:
        return sign * float(np.mean([one["mean"] for one in others[name]]))

    best = max(others, key=mean)
    leads = [lead(one, other, case.greatest) for one, other in zip(own, others[best], strict=True)]
    over = over_runs(
        [{"mean": [one.lead], "low": [one.low], "high": [one.high], "n": 1} for one in leads]
    )
    ends = over["over_seeds" if len(leads) >= FEWEST else "over_tasks"]
    found = Standing(
        leads[0].baseline.replace("neighbour", "neighbor"),
        over["mean"][0],
        ends["low"][0],
        ends["high"][0],
    )
    return Verdict(path, case, three(own), three(others[best]), found)


def at_last(found: Mapping[str, Any]) -> dict[str, Any]:
    """A row at its last point."""
    mean, low, high = score_at(found)
    return {"title": found["title"], "mean": [mean], "low": [low], "high": [high], "n": 1}


def three(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float, float]:
    """The mean of runs at the last point, with its interval."""
    over = over_runs(rows)
    return tuple(over[end][0] for end in ("mean", "low", "high"))  # type: ignore[return-value]


def verdicts(families: Iterable[str] = FAMILIES) -> list[Verdict]:
    """Every committed comparison of some families, the largest losses first."""
    found = []
    for family in families:
        for path in sorted((HERE / family).glob("results/*.json")):
            named = path.relative_to(HERE).as_posix()
            if named not in WITHOUT:
                found += [one for case in cases(path) if (one := judged(named, case))]
    return sorted(of_kinds(found), key=rank)


def of_kinds(found: Sequence[Verdict]) -> list[Verdict]:
    """The same with what each is: of a method's settings, the one with the best score counts."""
    best: dict[tuple[tuple[str, str], str], Verdict] = {}
    for one in found:
        of = one.task, one.case.method
        if np.isfinite(one.gain) and one.gain > best.setdefault(of, one).gain:
            best[of] = one

    def kind(one: Verdict) -> Kind:
        if is_baseline(one.family, one.case.method):
            return "baseline"
        return "method" if best.get((one.task, one.case.method), one) is one else "setting"

    return [one._replace(kind=kind(one)) for one in found]


def is_baseline(family: str, method: str) -> bool:
    """Whether a method's docstring says that others are compared with it."""
    return "baseline" in summary(get_system(family).methods[method])


def best_of_ours(found: Iterable[Verdict]) -> dict[tuple[str, str], Verdict]:
    """By data, the method with the best score that is no baseline."""
    best: dict[tuple[str, str], Verdict] = {}
    for one in found:
        if one.kind == "method" and one.gain >= best.get(one.task, one).gain:
            best[one.task] = one
    return best


ORDER = ("worse", "level", "better")


def rank(one: Verdict) -> tuple[int, float]:
    """Losers first, and of them those that lose most by their baseline's score."""
    share = one.found.lead / abs(one.other[0]) if one.other[0] else 0.0
    return ORDER.index(one.found.verdict), share


def score(values: Sequence[float], sign: bool = False) -> str:
    """A mean with its interval as the READMEs write it: .560 ±.012, 1.2e-4 ±3e-5."""
    mean, low, high = values
    if not np.isfinite(mean):
        return "non-finite"
    plus = "+" if sign and mean > 0 else ""
    largest = max(map(abs, values))

    def told(value: float) -> str:
        if value and (largest < 0.01 or largest >= 1000):
            return power(value)
        return bare(round(value, 3) + 0.0, 3)

    half = (high - low) / 2
    if not np.isfinite(half) or half == 0:
        return plus + told(mean)
    if not np.isclose(high - mean, mean - low, rtol=0.05):
        return f"{plus}{told(mean)} [{told(low)}, {told(high)}]"
    return f"{plus}{told(mean)} ±{told(half)}"


def command(one: Verdict) -> str:
    """The command of a result, without what is of one seed or one machine."""
    said = re.sub(r" --((workdir|data-dir|out|seed) \S+|no-progress)", "", one.case.command)
    return f"`{said}`" if said else ""


def link(one: Verdict, folder: str = "") -> str:
    """Where a result is."""
    return f"[{Path(one.path).stem}]({one.path.removeprefix(folder)})"


def margin(one: Verdict) -> str:
    """The lead over the baseline, with its sign and interval."""
    return score((one.found.lead, one.found.low, one.found.high), sign=True)


def named(one: Verdict) -> str:
    """A method with its setting."""
    return f"`{one.case.method}`" + (f" ({one.case.setting})" if one.case.setting else "")


def best_there(one: Verdict, best: Verdict) -> str:
    """The best method of ours on the data of a comparison, unless the baseline is ahead of it."""
    if is_worse(best):
        return "none is above"
    if best.case is one.case:
        return "this one"
    return f"{named(best)}: {margin(best)}" + (", level" if is_level(best) else "")


def below(found: Sequence[Verdict], kind: Kind) -> list[Verdict]:
    """Those of one kind that are not better than their best baseline."""
    return [one for one in found if one.kind == kind and one.found.verdict != "better"]


def cells(one: Verdict) -> list[str]:
    """What every table says of a comparison."""
    return [
        one.family,
        f"{link(one)}: {one.case.data}",
        named(one),
        score(one.own),
        one.found.baseline,
        score(one.other),
        margin(one),
        one.found.verdict,
    ]


HEADER = ["system", "data", "method", "score", "best baseline", "its score", "lead", "verdict"]


def table(found: Sequence[Verdict]) -> str:
    """The methods that are not better than their best baseline, and the best one on their data."""
    best = best_of_ours(found)
    lines = [
        [*cells(one), best_there(one, best[one.task]), command(one)]
        for one in below(found, "method")
    ]
    return markdown([*HEADER, "best of ours on it", "command"], lines)


def of_baselines(found: Sequence[Verdict]) -> str:
    """Methods that are baselines themselves, and not better than a simpler one."""
    return markdown(HEADER, map(cells, below(found, "baseline")))


def of_settings(found: Sequence[Verdict]) -> str:
    """Settings that are not better than a baseline, each with the best one of its method."""
    best = {(one.task, one.case.method): one for one in found if one.kind == "method"}
    lines = []
    for one in below(found, "setting"):
        other = best[one.task, one.case.method]
        of = ", ".join(filter(None, (other.case.setting, link(other))))
        lines.append([*cells(one), f"{of}: {margin(other)}, {other.found.verdict}"])
    return markdown([*HEADER, "best setting"], lines)


def counts(found: Sequence[Verdict]) -> str:
    """How many methods have each verdict in each family, on how many kinds of data."""
    lines = []
    for family in FAMILIES:
        of = [one.found.verdict for one in found if (one.family, one.kind) == (family, "method")]
        others = sum(one.family == family for one in below(found, "baseline"))
        settings = sum(one.family == family for one in below(found, "setting"))
        numbers_of = [*(of.count(each) for each in ORDER), others, settings]
        lines.append([f"[{family}]({family}/README.md)", *map(str, numbers_of)])
    header = ["system", *ORDER, "baselines not better", "other settings not better"]
    return markdown(header, lines)


def said(family: str) -> str:
    """What a family's README has to say first: its methods that a baseline is better than."""
    found = verdicts([family])
    best = best_of_ours(found)
    lines = [
        "- **Below a baseline that needs no meta-training**, each method at its best setting "
        f"([all scores](../README.md)): {'; '.join(losses(below(found, 'method'))) or 'no method'}."
    ]
    lost = dict.fromkeys(one.task for one in below(found, "method") if is_worse(one))
    use: dict[str, list[str]] = {}
    for task in lost:
        use.setdefault(instead(best[task]), []).append(f"*{task[1]}*")
    if use:
        each = (f"on {' and '.join(data)} {method}" for method, data in use.items())
        lines.append(f"- Use instead: {'; '.join(each)}.")
    level = [one for one in below(found, "method") if is_level(one)]
    if level:
        lines.append(f"- Level with one: {listed(f'`{one.case.method}`' for one in level)}.")
    others = [one for one in below(found, "baseline") if is_worse(one)]
    if others:
        lines.append(
            "- Themselves baselines, and below a simpler one: "
            f"{listed(f'`{one.case.method}`' for one in others)}."
        )
    return "\n".join(map(WRAP.fill, lines))


WRAP = textwrap.TextWrapper(
    120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
)


def is_worse(one: Verdict) -> bool:
    """Whether the baseline is better."""
    return one.found.verdict == "worse"


def is_level(one: Verdict) -> bool:
    """Whether neither is better."""
    return one.found.verdict == "level"


def instead(best: Verdict) -> str:
    """The best method on some data, or its baseline where that is ahead."""
    if is_worse(best):
        return f"the baseline, {best.found.baseline}"
    level = "level with its baseline, " if is_level(best) else ""
    return f"{named(best)} ({level}{link(best, f'{best.family}/')})"


def losses(found: Sequence[Verdict]) -> list[str]:
    """By how much which methods are below each baseline."""
    worse = [one for one in found if is_worse(one)]
    parts = []
    for title in dict.fromkeys(one.found.baseline for one in worse):
        of: dict[str, list[Verdict]] = {}
        for one in worse:
            if one.found.baseline == title:
                of.setdefault(one.case.method, []).append(one)
        each = listed(f"`{name}` {loss(one)}" for name, one in of.items())
        parts.append(f"compared with *{title}*, {each}")
    return parts


def listed(words: Iterable[str]) -> str:
    """Words with commas between them, each once."""
    return ", ".join(dict.fromkeys(words))


def loss(of: Sequence[Verdict]) -> str:
    """By how much one method is below one baseline, on one kind of data or several."""
    if len(of) == 1:
        found = of[0].found
        name = link(of[0], f"{of[0].family}/")
        return f"{score((found.lead, found.low, found.high))} ({name})"
    least, most = (score([end(one.found.lead for one in of)] * 3) for end in (max, min))
    return f"{least} to {most} on {len(of)} kinds of data"
