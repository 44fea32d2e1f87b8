"""Settings that cannot be: refused by every system, by the field's name, before anything runs."""

import pytest

from metajax import systems
from metajax.cli.arguments import parse_train
from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.systems import SYSTEMS, get_system


@pytest.mark.parametrize("name", SYSTEMS)
def test_ill_typed_values_are_refused_on_the_command_line(name, capsys):
    system = get_system(name)
    for field, value in (("steps", "many"), ("seed", "1.5"), ("eval_every", "nan")):
        with pytest.raises(SystemExit) as stopped:
            parse_train(system, None, [f"--{field.replace('_', '-')}={value}"])
        assert stopped.value.code == 2
        assert field.replace("_", "-") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rest", "value"),
    [
        (["--outer-decay"], "''"),
        (["--no-outer-decay", "--seed", "1"], "''"),
        (["--outer-decay=True"], "'True'"),
        (["--outer-decay", "True"], "'True'"),
    ],
)
def test_an_older_switch_is_answered_with_the_word_of_today(rest, value):
    with pytest.raises(ConfigError, match=f"outer-decay = {value}: .*--schedule instead"):
        parse_train(get_system("hyperdistill"), None, rest)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_folder_of_something_else_is_refused_before_anything_is_built(
    name, tmp_path, monkeypatch, capsys
):
    (tmp_path / "thesis.tex").touch()
    monkeypatch.setattr(systems, "build", lambda *_: pytest.fail("was built"))
    assert main(["train", name, "--workdir", str(tmp_path), "--compilation-cache", "off"]) == 1
    assert "not a run's folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
