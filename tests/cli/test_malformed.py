"""Malformed settings at random: every one is refused by its name before anything is compiled."""

import contextlib
import io
import string
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import metajax.train
from metajax.cli.main import main
from metajax.systems import SYSTEMS, get_system

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
    config = get_system(name).config
    choices = [
        st.tuples(
            st.text(string.ascii_lowercase, min_size=3, max_size=9).map(lambda s: f"no_{s}"), WORDS
        )
    ]
    for field, hint in typing.get_type_hints(config).items():
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


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize(
    "examples", [20, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "thousand"]
)
def test_malformed_settings_are_refused_by_name(name, examples, tmp_path, monkeypatch):
    def run(*args, **kwargs):
        raise AssertionError("a run was started")

    monkeypatch.setattr(metajax.train, "fit", run)

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(malformed(name))
    def check(given):
        refuse(name, tmp_path / "run", given)

    check()
