"""From a sweep's words to its runs: what is drawn, in which order, and what is rejected."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from metajax.core import ConfigError, Count, Positive
from metajax.sweep import expand, parse_value, read_assignments
from metajax.systems import Method, Objective, System, configure, replace


@dataclass(frozen=True)
class Settings:
    width: Count = 8
    rate: Positive = 0.1
    clip: Positive | None = None
    kind: Literal["plain", "fancy"] = "plain"
    depths: tuple[Count, ...] = (2, 2)
    deep: bool = False


def nothing(*_: Any) -> Any:
    return Method(None)


def check(config: Any) -> None:
    if config.width > 16 and config.kind == "fancy":
        raise ConfigError("width", config.width, "at most 16 where it is fancy")


def method(problem: Any, training: Any) -> Method:
    return Method(None)


SYSTEM = System(
    name="toy",
    summary="a family for this file",
    settings=Settings,
    presets={"only": {"seed": 3}},
    methods={"method": method},
    problem=nothing,
    evaluate=nothing,
    evaluators={},
    table=nothing,
    figures=nothing,
    objective=lambda config: Objective("none", greatest=True),
    tiny={},
    check=check,
)
CONFIG = configure(SYSTEM)


def test_the_runs_are_the_product_in_order_with_seeds_last():
    points = expand(
        CONFIG, {"width": "8,16", "clip": "none,1"}, {"rate": "log:1e-4:1"}, samples=2, seeds=2
    )
    assert [point.number for point in points] == list(range(16))
    assert [point.config.seed for point in points] == [3, 4] * 8
    found = [(p.values["width"], p.values["clip"]) for p in points[::4]]
    assert found == [(8, None), (8, 1.0), (16, None), (16, 1.0)]
    first, second = points[0].values["rate"], points[2].values["rate"]
    assert [p.values["rate"] for p in points] == [first, first, second, second] * 4
    assert all(replace(CONFIG, **p.values, seed=p.config.seed) == p.config for p in points)


def test_draws_are_decided_by_the_seed_and_do_not_depend_on_other_fields():
    def rates(seed, **more):
        random = {"rate": "log:1e-4:1", **more}
        points = expand(CONFIG, {}, random, samples=5, sweep_seed=seed)
        return [point.values["rate"] for point in points]

    assert rates(0) == rates(0, width="uniform:1:9") != rates(1)


def test_draws_are_spread_as_their_range_says():
    random = {"rate": "log:1e-6:1", "width": "uniform:1:16", "kind": "choice:plain,fancy"}
    points = expand(CONFIG, {}, random, samples=2000)
    logs = np.log10([point.values["rate"] for point in points])
    # standard errors: 6 / sqrt(12 * 2000) = .039, 15 / sqrt(12 * 2000) = .097, .5 / sqrt(2000)
    assert logs.mean() == pytest.approx(-3, abs=0.16) and logs.min() >= -6 and logs.max() <= 0
    widths = np.array([point.values["width"] for point in points])
    assert widths.mean() == pytest.approx(8.5, abs=0.39) and set(widths) <= set(range(1, 17))
    assert all(isinstance(point.values["width"], int) for point in points)
    shares = np.mean([point.values["kind"] == "fancy" for point in points])
    assert shares == pytest.approx(0.5, abs=0.045)


def test_draws_that_coincide_are_run_once():
    points = expand(CONFIG, {}, {"width": "uniform:1:3"}, samples=50, seeds=2)
    assert len(points) == 6 and len({point.config for point in points}) == 6


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("depths", "2 4 8", (2, 4, 8)),
        ("clip", "None", None),
        ("clip", "1e-3", 1e-3),
        ("deep", "True", True),
        ("deep", "false", False),
        ("kind", "fancy", "fancy"),
        ("rate", "3", 3.0),
    ],
)
def test_values_are_read_by_their_fields_type(field, text, value):
    (point,) = expand(CONFIG, {field: text}, {})
    assert point.values == {field: value}
    assert type(point.values[field]) is type(value)


@pytest.mark.parametrize(
    ("grid", "random", "options", "words"),
    [
        ({"widht": "1"}, {}, {}, ["grid field = 'widht'", "did you mean 'width'"]),
        ({}, {"rat": "log:1:2"}, {"samples": 1}, ["random field = 'rat'", "did you mean 'rate'"]),
        ({"rate": ".1"}, {"rate": "log:1:2"}, {"samples": 1}, ["random = 'rate'", "grid"]),
        ({"seed": "1,2"}, {}, {}, ["grid = 'seed'", "--seeds"]),
        ({"width": "8,wide"}, {}, {}, ["width = 'wide'", "a whole number"]),
        ({"width": "8,,16"}, {}, {}, ["width = '8,,16'", "single commas"]),
        ({"width": "8,8"}, {}, {}, ["each value once"]),
        ({"kind": "plane"}, {}, {}, ["kind = 'plane'", "did you mean 'plain'"]),
        ({"deep": "yes"}, {}, {}, ["deep = 'yes'", "true"]),
        ({"rate": "0.1,-1"}, {}, {}, ["rate = -1.0", "above 0", "in the run rate=-1.0"]),
        ({"rate": "nan"}, {}, {}, ["rate = nan"]),
        ({"width": "8,32", "kind": "plain,fancy"}, {}, {}, ["width=32, kind=fancy"]),
        ({}, {"rate": "log:0:1"}, {"samples": 2}, ["rate = 'log:0:1'", "ends above 0"]),
        ({}, {"rate": "log:1:1"}, {"samples": 2}, ["the first below the second"]),
        ({}, {"rate": "uniform:2:1"}, {"samples": 2}, ["the first below the second"]),
        ({}, {"rate": "uniform:0:inf"}, {"samples": 2}, ["finite ends"]),
        ({}, {"rate": "uniform:1"}, {"samples": 2}, ["uniform:LOW:HIGH"]),
        ({}, {"rate": "normal:0:1"}, {"samples": 2}, ["random rate = 'normal'"]),
        ({}, {"kind": "log:1:2"}, {"samples": 2}, ["choice:A,B"]),
        ({}, {"depths": "uniform:1:2"}, {"samples": 2}, ["choice:A,B"]),
        ({}, {"rate": "log:1:2"}, {}, ["samples = None", "number of draws"]),
        ({"rate": "1"}, {}, {"samples": 3}, ["samples = 3", "none without random"]),
        ({"rate": "1"}, {}, {"seeds": 0}, ["seeds = 0"]),
        ({"rate": "1"}, {}, {"seeds": 10**30}, ["seeds = 1000"]),
        ({"rate": "1,2"}, {}, {"seeds": 9000}, ["18000 runs", "at most 10000"]),
        ({}, {}, {"sweep_seed": -1}, ["sweep_seed = -1"]),
    ],
)
def test_what_can_not_be_run_is_refused_by_name(grid, random, options, words):
    with pytest.raises(ConfigError) as caught:
        expand(CONFIG, grid, random, **options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["rate", "=1", "rate=", "rate= "])
def test_assignments_without_a_field_or_values_are_refused(text):
    with pytest.raises(ConfigError, match="FIELD=VALUES"):
        read_assignments("grid", [text])


def test_assignments_take_hyphens_and_each_field_once():
    assert read_assignments("grid", ["inner-lr=1,2"]) == {"inner_lr": "1,2"}
    with pytest.raises(ConfigError, match="each field once"):
        read_assignments("grid", ["inner-lr=1", "inner_lr=2"])


def test_a_tuple_of_fixed_length_takes_that_many_values():
    assert parse_value("classes", tuple[int, int, int], "5 2 3") == (5, 2, 3)
    with pytest.raises(ConfigError, match="3 values"):
        parse_value("classes", tuple[int, int, int], "5 2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "1,",
        "yes",
        "true",
        "on",
        "None,",
        "1e999x",
        "[1]",
        "1 2",
        "1e-3.0",
        "x" * 5000,
        "\0",
        "9" * 5000,
        "(" * 5000,
        "é",
        "--width",
        "=",
        "1;2",
        "0x10",
    ],
)
def test_odd_values_of_numbers_are_refused_as_settings_are(text):
    for field in ("width", "rate", "clip", "depths", "deep", "kind"):
        for grid, random, samples in (
            ({field: text}, {}, None),
            ({}, {field: text}, 2),
            ({}, {field: f"log:{text}"}, 2),
            ({}, {field: f"choice:{text}"}, 2),
        ):
            try:
                expand(CONFIG, grid, random, samples=samples)
            except ConfigError as error:
                assert len(str(error)) < 700
            else:  # what the field's type can hold
                assert (field, text) in {("deep", "true"), ("depths", "1 2")}


@pytest.mark.parametrize("text", ["uniform:-1e308:1e308", "log:1e-300:1e300", "log:1e-320:1e300"])
def test_ranges_wider_than_numbers_are_refused(text):
    for field in ("rate", "width"):
        with pytest.raises(ConfigError, match=f"{field} = '{text}'"):
            expand(CONFIG, {}, {field: text}, samples=2)
