"""The contract of a family's methods, held against every entry of every registry.

A method joins by its line in its family's ``METHODS``. The first method of a family is tried by
the default suite, the others by the slow one; what takes no compiling is tried of all.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
import shutil
import typing
from typing import Any

import jax
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.core import ConfigError, HostFed, Range, digest, plain
from metajax.core.ranges import marks
from metajax.sweep import make_population
from metajax.systems import (
    SYSTEMS,
    build,
    config_from_json,
    config_to_json,
    config_type,
    configure,
    evaluate,
    get_system,
    options_type,
    replace,
    split,
    summary,
    traced_fields,
)
from metajax.train import fit, to_json
from small import tiny

pytestmark = pytest.mark.usefixtures("quick_compile")

ENTRIES = [(name, method) for name in SYSTEMS for method in get_system(name).methods]
FIRST = {name: next(iter(get_system(name).methods), None) for name in SYSTEMS}
LONG = {"hypino", "tables"}
"""Families whose programs take minutes to compile: by default their own tests alone try them, and
the slow suite tries their first method by all tests, the others by the first."""


def entry(name, method):
    quick = method == FIRST[name] and name not in LONG
    return pytest.param(name, method, marks=() if quick else pytest.mark.slow)


COMPILED = [entry(*each) for each in ENTRIES]
MORE = [entry(*each) for each in ENTRIES if each[0] not in LONG or each[1] == FIRST[each[0]]]
FAMILIES = [name for name in SYSTEMS if FIRST[name]]

HUGE = 10**20
NEAR = 1e-3
"""Relative difference of float32 sums in another order, after four meta-steps."""


def numbers():
    """Every numeric setting of every method, with values that no setting takes."""
    for name, method in ENTRIES:
        kind = config_type(get_system(name), method)
        options = options_type(get_system(name).methods[method])
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            if method != FIRST[name] and field.name not in options.__dataclass_fields__:
                continue  # the family's own settings, once
            members = {plain(hints[field.name]), *typing.get_args(plain(hints[field.name]))}
            if typing.get_origin(plain(hints[field.name])) is tuple:
                continue
            if int in members:
                yield from ((name, method, field.name, value) for value in (-1, HUGE, 1.5, True))
            elif float in members:
                bad = (math.nan, math.inf, -math.inf, -1.0)
                yield from ((name, method, field.name, value) for value in bad)


@pytest.mark.parametrize(("name", "method"), ENTRIES)
def test_numbers_out_of_range_are_rejected_by_name(name, method):
    config = tiny(name, method)
    tried = [(field, value) for one, by, field, value in numbers() if (one, by) == (name, method)]
    for field, value in tried:
        with pytest.raises(ConfigError) as raised:
            replace(config, **{field: value})
        assert raised.value.field == field


@pytest.mark.parametrize(("name", "method"), ENTRIES)
def test_every_setting_declares_its_range_and_is_explained(name, method):
    kind = config_type(get_system(name), method)
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if {int, float} & {plain(hint), *typing.get_args(plain(hint))} - {None}:
            parts = [hint, *typing.get_args(hint)]
            bounded = any(isinstance(mark, Range) for part in parts for mark in marks(part))
            assert bounded or typing.get_origin(plain(hint)) is typing.Literal, field.name
    function = get_system(name).methods[method]
    for option in dataclasses.fields(options_type(function)):
        assert re.search(rf"^ +{option.name}: ", function.__doc__ or "", re.MULTILINE), option.name


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
        assert values.keys() <= known, preset
        assert configure(system, preset).method == values.get("method", FIRST[name])
    assert system.tiny.keys() <= known


@pytest.mark.parametrize("name", FAMILIES)
def test_older_words_are_answered_with_the_new_one(name):
    system = get_system(name)
    known = {field for method in system.methods for field in vars(tiny(name, method))}
    for older, newer in system.renamed.items():
        assert older not in known
        with pytest.raises(ConfigError, match=newer):
            configure(system, **{older: 1})


def first_params(setup, config):
    key = jax.random.key(config.seed)
    return setup.algorithm.params(setup.algorithm.init(key, setup.example_tasks(key)))


def train_in(workdir, setup, config, **options):
    return fit(
        setup.algorithm,
        setup.tasks,
        steps=setup.steps,
        tasks_per_step=setup.tasks_per_step,
        key=jax.random.key(config.seed),
        workdir=workdir,
        evaluators=setup.evaluators,
        checkpoint_every=1,
        log_every=1,
        progress=False,
        **options,
    )


@pytest.mark.parametrize(("name", "method"), COMPILED)
def test_a_method_is_measured_shown_and_resumed(tmp_path, name, method):
    system, config = get_system(name), tiny(name, method, steps=2, eval_every=1)
    setup, result = build(config), None
    params = first_params(setup, config)
    if setup.steps:
        result = train_in(tmp_path / "run", setup, config)
        params = result.params
    found = evaluate(system, config, setup, params, False)
    evaluation = json.loads(to_json(found))
    points = len(evaluation["points"])
    for row in evaluation["rows"].values():
        ends = [np.array(row[end], float) for end in ("low", "mean", "high")]
        assert {len(end) for end in ends} <= {1, points} and row["n"] >= 2
        assert (ends[0] <= ends[1]).all() and (ends[1] <= ends[2]).all()
    assert not next(iter(evaluation["rows"].values()))["baseline"]
    assert any(row["baseline"] for row in evaluation["rows"].values())
    assert method in system.table(evaluation)
    history = result.history if result is not None else []
    logged = system.objective(config).logged
    assert result is None or logged is None or any(logged in row for row in history)
    for figure in system.figures(evaluation, history):
        drawn = io.BytesIO()
        figure.draw().savefig(drawn, format="png")
        assert len(drawn.getvalue()) > 1000, figure.name
    if result is None:
        return
    check_non_finite(system, config, setup, result.params, history)
    # the run that is resumed from its first step ends in the same bits
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "2")
    again = train_in(tmp_path / "run", setup, config)
    assert digest(again.state) == digest(result.state)
    assert again.compile_seconds > 0  # a step was left to do


@pytest.mark.parametrize(("name", "method"), MORE)
def test_one_device_and_eight_agree(name, method):
    config = tiny(name, method, tasks_per_step=8, steps=1)
    setup = build(config)
    if not setup.steps:
        pytest.skip(f"{method} is not meta-trained")
    whole = 8 // setup.tasks_per_step  # tasks of a draw
    options = {"steps": 1, "key": jax.random.key(0), "progress": False}
    options["tasks_per_step"] = 8 if whole > 1 else setup.tasks_per_step
    alone, together = (
        fit(setup.algorithm, setup.tasks, parallel=parallel, **options).params
        for parallel in ("none", "jit")
    )
    assert_near(together, alone)


def assert_near(found, expected):
    """Arrays that differ by float32 sums in another order alone."""
    leaves = zip(jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True)
    for (path, one), other in leaves:
        if jax.tree_util.keystr(path, simple=True, separator=".").endswith("qkv.bias"):
            continue  # a key's bias changes no attention: Adam scales the rounding of a zero
        scale = np.max(np.abs(other), initial=1e-8)
        np.testing.assert_allclose(one, other, rtol=NEAR, atol=NEAR * scale)


def everything_traced(name, method):
    """A config in which every traced setting is a number that matters, and others for them."""
    config = tiny(
        name,
        method,
        steps=4,
        warmup_steps=1,
        schedule="linear",
        final_rate=0.1,
        optimizer="adamw",
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


@pytest.mark.parametrize(("name", "method"), MORE)
def test_runs_as_one_program_are_what_they_would_be_alone(name, method):
    """All that a method declares traced, and the seed, vary within one program."""
    base, changed = everything_traced(name, method)
    other = replace(base, **changed, seed=1)
    configs = [base, replace(base, seed=1), other]
    setups = [build(config) for config in configs]
    if not setups[0].steps or isinstance(setups[0].tasks, HostFed):
        pytest.skip(f"{method} is not meta-trained")
    algorithm, held = make_population(get_system(name), configs, setups, tuple(changed))
    options = {"steps": 4, "log_every": 4, "progress": False}
    state = fit(algorithm, held, tasks_per_step=1, key=jax.random.key(9), **options).state
    np.testing.assert_array_equal(state.failed_at, -1)
    members = [jax.tree.map(lambda leaf, i=i: leaf[i], state.members) for i in range(3)]
    assert digest(members[1]) != digest(members[2])  # the changes do change the result
    for index in (0, 2):
        alone = fit(
            setups[index].algorithm,
            setups[index].tasks,
            tasks_per_step=setups[index].tasks_per_step,
            key=jax.random.key(configs[index].seed),
            **options,
        ).state
        assert_near(members[index], alone)


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
@pytest.mark.parametrize(("name", "method"), MORE)
def test_training_depends_on_steps_where_the_system_says_so(name, method, schedule):
    system = get_system(name)
    config = tiny(name, method, steps=20, schedule=schedule)
    before, after = training(config), training(replace(config, steps=40))
    if before[0]:  # else nothing is trained
        assert bool(system.tied_to_steps(config)) == (before[1:] != after[1:])


OTHER = {"test_split": "train", "other_sets": (), "rounds": (2,), "eval_optimizer": "adam"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in FAMILIES]
)
def test_settings_of_the_evaluation_leave_training_alone(name):
    system = get_system(name)
    config = tiny(name, None, steps=20)
    other = {
        field: OTHER[field] if field in OTHER else 2 * getattr(config, field)
        for field in system.evaluation
    }
    changed = replace(config, **other)
    assert all(getattr(changed, field) != getattr(config, field) for field in system.evaluation)
    assert training(config) == training(changed)
    fields = {field.name for field in dataclasses.fields(config)}
    assert {field for field in fields if field.startswith("eval_")} <= set(system.evaluation)


@pytest.mark.parametrize("name", FAMILIES)
def test_another_method_keeps_the_settings_that_it_has_too(name):
    config = tiny(name, None, seed=7)
    for method in get_system(name).methods:
        other = replace(config, method=method)
        assert other.method == method and other.seed == 7
        assert split(other).settings == split(config).settings
