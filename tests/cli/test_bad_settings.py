"""Settings that cannot be: refused by every system, by the field's name, before anything runs."""

import dataclasses
import math
import typing

import pytest

from metajax import systems
from metajax.cli.arguments import parse_train
from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.systems import SYSTEMS, get_system

HUGE = 10**20


def numbers():
    """Every numeric field of every system with values that no setting can take."""
    for name in SYSTEMS:
        config = get_system(name).config
        for field, hint in typing.get_type_hints(config).items():
            members = typing.get_args(hint) or (hint,)
            if int in members or float in members:
                bad = [-1] if int in members else [math.nan, math.inf, -math.inf, -1.0]
                if int in members:
                    bad.append(HUGE)
                if typing.get_origin(hint) is not tuple:
                    yield from (pytest.param(name, field, v, id=f"{name}-{field}-{v}") for v in bad)


@pytest.mark.parametrize(("name", "field", "value"), numbers())
def test_numbers_out_of_range_are_refused_by_name(name, field, value):
    config = get_system(name).config
    with pytest.raises(ConfigError, match=field):
        dataclasses.replace(config(), **{field: value})


@pytest.mark.parametrize("name", SYSTEMS)
def test_ill_typed_values_are_refused_on_the_command_line(name, capsys):
    system = get_system(name)
    for field, value in (("steps", "many"), ("seed", "1.5"), ("eval_every", "nan")):
        with pytest.raises(SystemExit) as stopped:
            parse_train(system, None, [f"--{field.replace('_', '-')}={value}"])
        assert stopped.value.code == 2
        assert field.replace("_", "-") in capsys.readouterr().err


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_folder_of_something_else_is_refused_before_anything_is_built(
    name, tmp_path, monkeypatch, capsys
):
    (tmp_path / "thesis.tex").touch()
    unbuilt = get_system(name)._replace(build=lambda *_: pytest.fail("was built"))
    monkeypatch.setattr(systems, "get_system", lambda _: unbuilt)
    assert main(["train", name, "--workdir", str(tmp_path), "--compilation-cache", "off"]) == 1
    assert "not a run's folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
