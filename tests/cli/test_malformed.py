"""Malformed settings at random: every one is refused by its name before anything is compiled."""

import contextlib
import io
import json
import string
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd import mutants

import metajax.train
from metajax.cli.main import main
from metajax.cli.sweep import read_request
from metajax.core import ConfigError, MetajaxError
from metajax.sweep import expand
from metajax.systems import (
    SYSTEMS,
    config_to_json,
    configure,
    field_types,
    get_system,
    read_run,
)

WORDS = st.text(string.ascii_letters + "_.:/@ éß漢\t'\"{}[]()", max_size=12)
NOT_WHOLE = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers(max_value=-1).map(str),
    st.integers(min_value=2**63).map(str),
    WORDS,
    st.sampled_from(["0x10", "1_0_", "1,5", "--", "1e3", "True", "None ", "1;2"]),
)
NOT_POSITIVE = st.one_of(
    st.sampled_from(["nan", "inf", "-inf", "-1e-300", "1e999", "1,5", "1..2", "0x1p3"]),
    st.floats(max_value=-1e-300, allow_nan=False).map(repr),
    WORDS,
)


def malformed(name):
    """Strategy of ``(field, value)`` that no config of a system can hold."""
    choices = [
        st.tuples(
            st.text(string.ascii_lowercase, min_size=3, max_size=9).map(lambda s: f"no_{s}"), WORDS
        )
    ]
    for field, hint in field_types(get_system(name)).items():
        members = typing.get_args(hint) or (hint,)
        if typing.get_origin(hint) is tuple:
            choices.append(st.tuples(st.just(field), WORDS.map(lambda word: f"x{word}")))
        elif int in members:
            # "None" is what some fields mean by it
            value = NOT_WHOLE.filter(lambda text: text.strip() != "None")
            choices.append(st.tuples(st.just(field), value))
        elif float in members:
            value = NOT_POSITIVE.filter(lambda text: text.strip() != "None")
            choices.append(st.tuples(st.just(field), value))
        elif typing.get_origin(hint) is typing.Literal:
            value = WORDS.filter(lambda text, members=members: text not in members)
            choices.append(st.tuples(st.just(field), value))
    return st.one_of(choices)


def refuse(name, workdir, given):
    """The command refuses a setting: exit code 2, its name in the message, nothing written."""
    field, value = given
    option = "--" + field.replace("_", "-")
    message = io.StringIO()
    with contextlib.redirect_stderr(message), contextlib.redirect_stdout(message):
        try:
            code = main(["train", name, "--workdir", str(workdir), f"{option}={value}"])
        except SystemExit as stopped:
            code = stopped.code
    said = message.getvalue()
    assert code == 2, (given, said)
    assert field in said or option[2:] in said, (given, said)
    assert "Traceback" not in said
    assert not workdir.exists()


# a rejection takes 60 ms; out-of-range numbers of every field are tried by the battery too
FEW, MANY = 4, 100


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        *((name, FEW) for name in SYSTEMS),
        *(pytest.param(name, MANY, marks=pytest.mark.slow) for name in SYSTEMS),
    ],
)
def test_malformed_settings_are_refused_by_name(name, examples, tmp_path, monkeypatch):
    def run(*args, **kwargs):
        raise AssertionError("a run was started")

    monkeypatch.setattr(metajax.train, "fit", run)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(malformed(name))
    def check(given):
        refuse(name, tmp_path / "run", given)

    check()


SWEEP = """
system: fewshot
preset: sinusoid_quick
set: {steps: 8, rotations: true, classes: [5, 2, 3], clip_norm: 1.0, parallel: none}
grid:
  inner_lr: [0.001, 0.1]
  ways: 5
random: {learning_rate: "log:1e-5:1e-2"}
samples: 3
"""


def expanded(path):
    """The runs of a sweep's file."""
    _, request = read_request(["fewshot", "--from", str(path)])
    config = configure(request.system, "sinusoid_quick")
    return expand(
        config,
        request.grid,
        request.random,
        samples=request.samples,
        seeds=request.seeds,
        sweep_seed=request.sweep_seed,
    )


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_no_other_error_escapes_from_sweep_files_whichever_value_is_odd(share, tmp_path):
    """By default, of every fourth value; 31 are tried, so that each place has others."""
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    assert len(expanded(path)) == 6
    refused = 0
    tried = list(mutants(SWEEP))[::share]
    for place, odd, text in tried:
        path.write_text(text)
        try:
            expanded(path)
        except ConfigError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 1500, (place, odd)
    # what is left: null where None is a value or for what may be left out, and true for rotations
    assert refused > 0.75 * len(tried)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("grid: {ways: 5}\ngrid: {ways: 3}", "line 2: the key 'grid' stands in line 1"),
        ("set: {steps: 8, steps: 9}", "the key 'steps'"),
        ("grid: {inner_lr: 1, inner-lr: 2}", "grid field = 'inner-lr'.*each field once"),
        ("grid: {ways: [yes]}", "ways = 'yes': expected a whole number"),
        ("grid: {ways: [on, off]}", "ways = 'on'"),
        ("grid: {ways: true}", "grid.ways = True"),
        ("grid: {rotations: [yes, no]}", "rotations = 'yes': expected one of false, true"),
        ("grid: {ways: null}", "grid.ways = None: expected a value"),
        ("grid: {method: [maml, [anil, [imaml]]]}", "grid.method"),
        ("grid: {method: ['maml,anil']}", "grid.method = 'maml,anil'"),
        ("set: {steps: yes}", "set.steps = 'yes': expected a whole number"),
        ("set: {rotations: on}", "set.rotations = 'on'"),
        ("set: {steps: 1e3}", "set.steps = '1e3': expected a whole number"),
        ("set: {inner_lr: fast}", "set.inner_lr = 'fast': expected a number"),
        ("set: {base_set: true}", "set.base_set = True"),
        ("set: {classes: [1, 2]}", "set.classes"),
        ("set: {steps: [8]}", "set.steps"),
        ("set: {stepps: 8}", "set field = 'stepps'.*did you mean 'steps'"),
        ("set: {workdir: here}", "set field = 'workdir'"),
        ("random: {learning_rate: [1, 2]}", "random.learning_rate"),
        ("samples: true", "samples = True: expected a whole number"),
        ("system: [fewshot]", "system = .*a name"),
        ("system: fewshoot", "did you mean 'fewshot'"),
    ],
)
def test_sweep_files_are_refused_by_name(text, words, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        expanded(path)


def test_numbers_of_a_sweep_file_are_read_as_those_of_the_command_line(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("set: {damping: 1e+1}\ngrid: {inner_lr: [1e-3, 2E-2], ways: [010, 3]}")
    _, request = read_request(["fewshot", "--from", str(path)])
    assert request.rest == ["--damping", "10.0"]
    assert {point.values["inner_lr"] for point in expanded(path)} == {1e-3, 2e-2}
    assert {point.values["ways"] for point in expanded(path)} == {10, 3}


JSON = (
    "null",
    "true",
    "[]",
    "{}",
    "[[1]]",
    '{"a": 1}',
    '""',
    '"text"',
    "-1",
    "1.5",
    "NaN",
    "Infinity",
    "1" + "0" * 400,
    "[null]",
    '["x"]',
    "[-1, -1, -1]",
)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        *((name, 4) for name in SYSTEMS),
        *(pytest.param(name, 1, marks=pytest.mark.slow) for name in SYSTEMS),
    ],
)
def test_no_other_error_escapes_from_a_runs_config(name, share, tmp_path):
    """Of any field's odd values; by default a quarter of them each, another one field by field."""
    system = get_system(name)
    whole = config_to_json(system, configure(system))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(whole))
    assert read_run(tmp_path)[1] == configure(system)
    refused = tried = 0
    for place, field in enumerate(whole["config"]):
        for odd in JSON[place % share :: share]:
            tried += 1
            changed = {**whole, "config": {**whole["config"], field: "@@@"}}
            path.write_text(json.dumps(changed).replace('"@@@"', odd))
            try:
                read_run(tmp_path)
            except ConfigError as error:
                refused += 1
                # hypino's depths and heads are counted against each other
                assert {field, "depths"} & set(str(error).split()), (field, odd, str(error))
    assert refused > 0.75 * tried
    for odd in (*JSON, "", "{", "[" * 10**5, '{"a":' * 10**5, "\ufeff{}"):
        for text in (
            odd,
            json.dumps({**whole, "config": "@@@"}).replace('"@@@"', odd),
            json.dumps({**whole, "system": "@@@"}).replace('"@@@"', odd),
        ):
            path.write_text(text)
            with contextlib.suppress(MetajaxError):
                read_run(tmp_path)
                assert odd == "{}"  # every field may be left out


@pytest.mark.parametrize(
    "content", ["[]", "{}", "3", '{"new_tasks": []}', '{"score": {}}', "[" * 10**5]
)
def test_a_report_of_odd_results_is_refused_with_the_way_out(content, tmp_path, capsys):
    system = get_system("fewshot")
    (tmp_path / "config.json").write_text(json.dumps(config_to_json(system, configure(system))))
    (tmp_path / "eval.json").write_text(content)
    assert main(["report", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("metajax: error: ") and "eval.json" in said


def test_a_sweeps_config_of_odd_values_is_refused(tmp_path, capsys):
    system = get_system("fewshot")
    whole = {"sweep": config_to_json(system, configure(system)), "grid": {}, "random": {}}
    for name in whole:
        for odd in ("null", "3", "[1]", '{"a": [1]}', '"text"'):
            text = json.dumps({**whole, name: "@@@"}).replace('"@@@"', odd)
            (tmp_path / "config.json").write_text(text)
            assert main(["report", str(tmp_path)]) in (1, 2)
            assert capsys.readouterr().err.startswith("metajax: error: ")
