"""The contract of a family's methods, held against every entry of every registry.

A method joins by its line in its family's ``METHODS``. The first method of a family is tried by
the default suite, the others by the slow one; what takes no compiling is tried of all.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import math
import re
import shutil
import typing
from pathlib import Path
from typing import Any, NamedTuple

import docstring_parser
import jax
import numpy as np
import pytest
from browser import PROGRAM, Browser
from non_finite import check_non_finite

from metajax.cli.report import write_report
from metajax.core import ConfigError, HostFed, MixedTasks, Range, Task, digest, plain
from metajax.core.ranges import marks
from metajax.sweep import make_population
from metajax.systems import (
    SYSTEMS,
    build,
    config_from_json,
    config_to_json,
    config_type,
    configure,
    get_system,
    load,
    options_type,
    replace,
    rivals,
    split,
    summary,
    tied_to_steps,
    traced_fields,
)
from metajax.train import fit, run_summary, to_json
from small import fit_setup, tiny

ENTRIES = [(name, method) for name in SYSTEMS for method in get_system(name).methods]
FIRST = {name: next(iter(get_system(name).methods), None) for name in SYSTEMS}
KINDS = [
    (name, next(iter(kind.methods)))
    for name in SYSTEMS
    for kind in get_system(name).kinds or (get_system(name),)
]
"""The first method of each kind of problem."""
LONG = {
    "hamiltonian",
    "hypino",
    "tables",
    "continual",
    "domains",
    "federated",
    "shift",
    "growth",
    "weights",
}
"""Families whose programs take minutes to compile: by default their own tests alone try them, and
the slow suite tries their first method by all tests, the others by the first."""


def entry(name, method):
    quick = method == FIRST[name] and name not in LONG
    marks = () if quick else pytest.mark.slow
    return pytest.param((name, method), marks=marks, id=f"{name}-{method}")


COMPILED = [entry(*each) for each in ENTRIES]
MORE = [entry(*each) for each in ENTRIES if each[0] not in LONG or each[1] == FIRST[each[0]]]
FAMILIES = [name for name in SYSTEMS if FIRST[name]]

HUGE = 10**20
NEAR = 1e-3
"""Relative difference of float32 sums in another order, after four meta-steps."""


def numbers(name, method):
    """Every numeric setting of a method, with values that no setting takes."""
    kind = config_type(get_system(name), method)
    options = options_type(get_system(name).methods[method])
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        if (name, method) not in KINDS and field.name not in options.__dataclass_fields__:
            continue  # the problem's own settings, once
        members = {plain(hints[field.name]), *typing.get_args(plain(hints[field.name]))}
        if typing.get_origin(plain(hints[field.name])) is tuple:
            continue
        if int in members:
            yield from ((field.name, value) for value in (-1, HUGE, 1.5, True))
        elif float in members:
            yield from ((field.name, value) for value in (math.nan, math.inf, -math.inf, -1.0))


@pytest.mark.parametrize(("name", "method"), ENTRIES)
def test_numbers_out_of_range_are_rejected_by_name(name, method):
    config = tiny(name, method)
    for field, value in numbers(name, method):
        with pytest.raises(ConfigError) as raised:
            replace(config, **{field: value})
        assert raised.value.field == field


@pytest.mark.parametrize(("name", "method"), ENTRIES)
def test_every_setting_declares_its_range_and_is_explained(name, method):
    system = get_system(name)
    kind = config_type(system, method)
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if {int, float} & {plain(hint), *typing.get_args(plain(hint))} - {None}:
            inner = hint.__origin__ if typing.get_origin(hint) is typing.Annotated else hint
            parts = [hint, *typing.get_args(inner)]
            bounded = any(isinstance(mark, Range) for part in parts for mark in marks(part))
            assert bounded or typing.get_origin(plain(hint)) is typing.Literal, field.name
    function = system.methods[method]
    kind = system.kind_of(method)
    parts = kind.settings, kind.training
    family = {field.name for part in parts for field in dataclasses.fields(part)}
    options = options_type(function)
    explained = {
        param.arg_name
        for base in options.__mro__
        if dataclasses.is_dataclass(base)
        for param in docstring_parser.parse_from_object(base).params
        if param.description
    }
    for option in dataclasses.fields(options):
        assert option.name not in family, option.name
        assert option.name in explained, option.name


@pytest.mark.parametrize(("name", "method"), ENTRIES)
def test_every_method_names_its_source(name, method):
    said = summary(get_system(name).methods[method])
    assert re.search(r"\(.*(arXiv \d{4}\.\d{4,5}|\d{4}).*\)|baseline", said), said


@pytest.mark.parametrize(("name", "method"), ENTRIES)
def test_a_config_survives_its_file(name, method):
    system, config = get_system(name), tiny(name, method)
    saved = json.loads(json.dumps(config_to_json(system, config)))
    assert config_from_json(system, saved["config"]) == config


@pytest.mark.parametrize("name", FAMILIES)
def test_presets_are_in_order(name):
    """Each value of a preset is a setting of the family, or an option of one of its methods."""
    system = get_system(name)
    for preset, values in system.presets.items():
        kinds = [config_type(system, method) for method in system.methods]
        known = {field.name for kind in kinds for field in dataclasses.fields(kind)}
        own = values.get("own", {})
        assert values.keys() - {"own"} | own.keys() <= known, preset
        usual = configure(system, preset)
        assert usual.method == values.get("method", FIRST[name])
        assert all(getattr(usual, field) == value for field, value in own.items())
        other = configure(
            system, preset, next(m for m in usual.system.methods if m != usual.method)
        )
        assert not own or any(getattr(other, field) != value for field, value in own.items())
    assert system.tiny.keys() <= known


@pytest.mark.parametrize("name", FAMILIES)
def test_older_words_are_answered_with_the_new_one(name):
    system = get_system(name)
    known = {field for method in system.methods for field in vars(tiny(name, method))}
    for older, newer in system.renamed.items():
        assert older not in known
        with pytest.raises(ConfigError, match=newer):
            configure(system, **{older: 1})


def everything_traced(name, method):
    """A config in which every traced setting is a number that matters, and others for them."""
    smallest = tiny(name, method)
    per_draw = smallest.tasks_per_step // build(smallest).tasks_per_step
    config = tiny(
        name,
        method,
        steps=4,
        eval_every=4,
        tasks_per_step=8 * per_draw,
        warmup_steps=1,
        schedule="linear",
        final_rate=0.1,
        optimizer="adamw",
        adam_epsilon=1e-4,  # Adam scales up the rounding of gradients that are smaller
    )
    traced = traced_fields(config)
    unset = {field: 0.05 for field in traced if getattr(config, field) is None}
    config = replace(config, **unset)
    hints = typing.get_type_hints(type(config), include_extras=True)
    changed: dict[str, Any] = {field: 0.5 * getattr(config, field) for field in traced}
    for field in get_system(name).of_tasks:
        value, kind = getattr(config, field), plain(hints[field])
        if float in {kind, *typing.get_args(kind)}:
            changed[field] = 0.5 if value is None else 0.5 * value + 0.25
        else:
            changed[field] = 2 if value is None else max(value // 2, 2)
    return config, changed


class Row(NamedTuple):
    """A method, and the one run of it that several tests look at.

    Attributes:
      system: its family, or the kind of problem.
      method: its name.
      config: of the run; every setting that can be traced is a number in it that matters.
      changed: other values for these.
      setup: what was built of the config.
      workdir: where it was trained.
      result: what ``fit`` returned; None for what is not meta-trained.
    """

    system: Any
    method: str
    config: Any
    changed: dict[str, Any]
    setup: Any
    workdir: Path
    result: Any


def train(config, setup, workdir=None, **options):
    return fit_setup(
        setup,
        config.seed,
        workdir=workdir,
        config=config_to_json(config.system, config),
        evaluators=setup.evaluators if workdir else (),
        checkpoint_every=2,
        log_every=1,
        **options,
    )


@pytest.fixture(scope="module")
def row(request, tmp_path_factory):
    """The row of the registry that is asked for, trained for four steps with eight draws each."""
    name, method = request.param
    config, changed = everything_traced(name, method)
    setup, workdir, result = build(config), tmp_path_factory.mktemp(method), None
    if setup.steps:
        result = train(config, setup, workdir)
    return Row(config.system, method, config, changed, setup, workdir, result)


def trained(row):
    if row.result is None:
        pytest.skip(f"{row.method} is not meta-trained")
    return row


def rows(entries):
    return pytest.mark.parametrize("row", entries, indirect=True)


@pytest.fixture(scope="module", autouse=True)
def few_random_features():
    """Make hypino's baseline of random features small, which no setting does.

    Solving for 2000 of them took most of the time in which a method of hypino is evaluated.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metajax.systems.hypino.benchmarking.NUM_RANDOM", 20)
        yield


@pytest.fixture(scope="module")
def evaluation(row):
    """What ``eval.json`` of the row's run holds."""
    setup, key = row.setup, jax.random.key(row.config.seed)
    drawn = row.result is None
    init = jax.jit(lambda key: setup.algorithm.init(key, setup.example_tasks(key)))
    state = init(key) if drawn else row.result.state
    return json.loads(to_json(setup.evaluate(setup.algorithm.params(state), False)))


@rows(COMPILED)
def test_a_method_is_measured_and_shown(row, evaluation):
    system, config, setup, result = row.system, row.config, row.setup, row.result
    points = len(evaluation["points"])
    for scores in evaluation["rows"].values():
        ends = [np.array(scores[end], float) for end in ("low", "mean", "high")]
        assert {len(end) for end in ends} <= {1, points} and scores["n"] >= 2
        assert (ends[0] <= ends[1]).all() and (ends[1] <= ends[2]).all()
    assert not next(iter(evaluation["rows"].values()))["baseline"]
    assert rivals(evaluation["rows"])  # a baseline has the same tasks
    own = {name for name, scores in evaluation["rows"].items() if not scores["baseline"]}
    assert {scores["compared_with"] for scores in evaluation["rows"].values()} <= {*own, None}
    assert row.method in system.table(evaluation)
    history = result.history if result is not None else []
    logged = system.objective(config).logged
    assert result is None or logged is None or any(logged in line for line in history)
    for figure in system.figures(evaluation, history):
        drawn = io.BytesIO()
        figure.draw().savefig(drawn, format="png")
        assert len(drawn.getvalue()) > 1000, figure.name
    if result is not None:
        check_non_finite(system, config, setup, result.params, history)


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")
@rows([entry(name, method) for name, method in FIRST.items() if method])
def test_the_report_of_a_run_is_in_order_at_a_desk_and_on_a_phone(row, evaluation, tmp_path):
    """No script error, no missing picture, nothing wider than the window."""
    config = config_to_json(row.system, row.config)
    seconds = {"wall_seconds": 1.0, "cpu_seconds": 1.0, "train_cpu_seconds": 1.0}
    command = "metajax train " + " ".join(
        f"--{field} {value}" for field, value in row.changed.items()
    )
    summary = run_summary(row.result, **seconds, command=command)
    page = write_report(row.workdir, row.system, config, evaluation, summary, row.result.history)
    assert page.read_text().count("<img") >= 2
    browser = Browser(tmp_path / "profile", "file://")
    try:
        browser.check_file(page)
    finally:
        browser.close()


@rows(COMPILED)
def test_a_run_resumed_from_its_middle_ends_in_the_same_bits(row):
    result = trained(row).result
    shutil.rmtree(row.workdir / "checkpoints" / "4")
    again = train(row.config, row.setup, row.workdir)
    assert digest(again.state) == digest(result.state)
    assert again.compile_seconds > 0  # steps were left to do


@rows(COMPILED)
def test_a_run_is_loaded_and_used(row, monkeypatch):
    """What a folder holds adapts and predicts as what is in memory, to the bit.

    And without the data set that it was trained on: the learner is made without.
    """
    if row.setup.method.learner is None:
        pytest.skip(f"{row.method} is no meta-learner")
    if not (row.workdir / "config.json").exists():
        identity = config_to_json(row.system, row.config)
        (row.workdir / "config.json").write_text(json.dumps(identity))
    monkeypatch.setattr("metajax.systems.parts.load_images", no_set)
    monkeypatch.setattr("metajax.systems.gpicl.problem.load_images", no_set)
    key = jax.random.key(row.config.seed)
    run, task = load(row.workdir), jax.jit(lambda key: row.setup.example_tasks(key))(key)
    assert (run.config, run.step) == (row.config, row.setup.steps)
    if row.result is not None:
        assert digest(run.params) == digest(row.result.params)
    params = run.params if row.result is None else row.result.params
    if isinstance(row.setup.tasks, MixedTasks):
        task = jax.tree.map(lambda leaf: leaf[0], Task(task.support[0], task.query[0]))
    points = getattr(task.query, "points", None)
    inputs = task.query.inputs if points is None else points.interior

    def used(learner, params):
        def use(params, support, inputs, key):
            return learner.predict(params, learner.adapt(params, support, key), inputs)

        return digest(jax.jit(use)(params, task.support, inputs, key))

    assert used(run.learner, run.params) == used(row.setup.method.learner, params)


def no_set(*args, **kwargs):
    raise AssertionError("a set is read")


MATTERS_NOT = re.compile(r".*qkv\.bias|(.*(params|mu|nu)\.)?norm\.bias")
"""Parameters by which no loss changes, so that Adam scales the rounding of a zero: a key's bias in
attention and, where classes share their weights, one that moves the logits of all classes alike."""


ROUGH = re.compile(r".*tokens\.query(\..*)?")
"""Parameters whose gradient is a small difference of large numbers: that by a similarity network's
token of a query is 2e-3 off in float32, as compared with float64. They may differ ten times as
much."""


def assert_near(found, expected):
    """Arrays that differ by float32 sums in another order alone."""
    leaves = zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True)
    for (path, one), other in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if MATTERS_NOT.fullmatch(name):
            continue
        near = 10 * NEAR if ROUGH.fullmatch(name) else NEAR
        scale = np.max(np.abs(other), initial=1e-8)
        np.testing.assert_allclose(one, other, rtol=near, atol=near * scale, err_msg=name)


# two families by default, whose programs are the smaller ones
SECOND_LINE = ("gpicl-transformer",)
POPULATIONS = [
    pytest.param(*each.values, id=each.id, marks=pytest.mark.slow)
    if each.id in SECOND_LINE
    else each
    for each in MORE
]


@rows(POPULATIONS)
def test_runs_as_one_program_are_what_they_would_be_alone(row):
    """All that a method declares traced, and the seed, vary within one program.

    One run is compared with itself alone on one device, another with itself alone on eight.
    """
    base, changed = trained(row).config, row.changed
    other = replace(base, **changed, seed=1)
    configs = [base, replace(base, seed=1), other]
    setups = [row.setup, *map(build, configs[1:])]
    if isinstance(row.setup.tasks, HostFed):
        pytest.skip("host-fed tasks are no part of the program")
    algorithm, held = make_population(row.system, configs, setups, tuple(changed))
    options = {"steps": base.steps, "log_every": base.steps, "progress": False}
    state = fit(algorithm, held, tasks_per_step=1, key=jax.random.key(9), **options).state
    np.testing.assert_array_equal(state.failed_at, -1)
    stacked = jax.device_get(state.members)
    members = [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(3)]
    assert digest(members[1]) != digest(members[2])  # the changes do change the result
    assert_near(members[0], row.result.state)
    assert_near(members[2], train(other, setups[2], parallel="jit").state)


@functools.cache
def training(config):
    """All that decides a run's result: the programs of init and update, and the tasks' arrays."""
    setup = build(config)
    key = jax.random.key(config.seed)
    algorithm, tasks = setup.algorithm, setup.example_tasks
    task = jax.eval_shape(tasks, key)
    state = jax.eval_shape(algorithm.init, key, task)
    batch = jax.eval_shape(jax.vmap(tasks), jax.random.split(key, 2))
    made = [
        jax.make_jaxpr(algorithm.init)(key, task),
        jax.make_jaxpr(algorithm.update)(state, batch, key),
    ]
    text = re.sub(r"0x[0-9a-f]+", "", "\n".join(str(one.jaxpr) for one in made))
    leaves = [np.asarray(leaf) for one in made for leaf in one.consts]
    for leaf in jax.tree.leaves(setup.tasks):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        leaves.append(np.asarray(jax.random.key_data(leaf) if is_key else leaf))
    return setup.steps, text, [(leaf.dtype, leaf.shape, leaf.tobytes()) for leaf in leaves]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("each", MORE)
def test_training_depends_on_steps_where_the_system_says_so(each, schedule):
    config = tiny(*each, steps=20, schedule=schedule)
    before, after = training(config), training(replace(config, steps=40))
    if before[0]:  # else nothing is trained
        assert bool(tied_to_steps(config)) == (before[1:] != after[1:])


OTHER = {
    "eval_rows": (2, 8),
    "test_split": "train",
    "other_sets": (),
    "rounds": (2,),
    "eval_optimizer": "adam",
}


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(one, marks=[pytest.mark.slow] * (one[0] in LONG), id="-".join(one))
        for one in KINDS
    ],
)
def test_settings_of_the_evaluation_leave_training_alone(each):
    config = tiny(*each, steps=20)
    system = config.system

    def otherwise(field):
        value = getattr(config, field)
        return OTHER.get(field, not value if isinstance(value, bool) else 2 * value)

    other = {field: otherwise(field) for field in system.evaluation}
    changed = replace(config, **other)
    assert all(getattr(changed, field) != getattr(config, field) for field in system.evaluation)
    assert training(config) == training(changed)
    fields = {field.name for field in dataclasses.fields(config)}
    assert {field for field in fields if field.startswith("eval_")} <= set(system.evaluation)


@pytest.mark.parametrize(("name", "first"), KINDS)
def test_another_method_keeps_the_settings_that_it_has_too(name, first):
    config = configure(name, None, first, seed=7)
    for method in config.system.methods:
        other = replace(config, method=method)
        assert other.method == method and other.seed == 7
        assert split(other).settings == split(config).settings
