"""Every figure that a README of the experiments quotes of its results is what these say."""

import importlib.util
import re
from pathlib import Path

import pytest
from PIL import Image

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def tables():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("tables", FOLDER / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAMILIES = sorted(path.parent.name for path in FOLDER.glob("*/README.md"))
FAMILIES = [name for name in FAMILIES if name != "launch"] + ["benchmarks"]  # it holds recipes


@pytest.mark.parametrize("family", FAMILIES)
def test_tables_and_sentences_are_what_the_results_say(tables, family, monkeypatch):
    read, given = set(), Path.read_text

    def noted(path, *arguments, **options):
        read.add(path)
        return given(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", noted)
    found = tables.quoted(family)
    assert tables.wrong(family, found) == []
    # no committed result stands there unread
    folder = tables.FAMILIES[family]
    assert set(folder.rglob("*.json")) <= read


@pytest.mark.parametrize("family", ["gpicl", "continual", "growth"])
def test_the_readmes_picture_is_of_the_results(family):
    """It carries the digest of the results that it was drawn from."""
    path = FOLDER / family / "picture.py"
    spec = importlib.util.spec_from_file_location(f"picture_{family}", path)
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    message = f"draw it again: python experiments/{family}/picture.py"
    with Image.open(picture.PICTURE) as image:
        assert image.text["Source"] == picture.digest(), message


def test_a_wrong_figure_is_found(tables):
    made = {"one": "| a |\n|---|\n| .56 |"}
    table = made["one"].replace(".56", ".55")
    text = f"<!-- table one -->\n{table}\n<!-- end -->\nMAML is .56 [.50,\n.63] of it.\n"
    assert tables.rewritten(text, made) == text.replace(".55", ".56")
    assert tables.missing(text, ["MAML is .56 [.50, .63] of it"]) == []
    wrong = ["MAML is .57 [.50, .63] of it"]
    assert tables.missing(text, wrong) == wrong
    for marks in ({}, {**made, "two": ""}):
        with pytest.raises(ValueError, match="marked"):
            tables.rewritten(text, marks)


def test_numbers_are_rounded_once_and_written_as_in_the_text(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from quoting import bare, markdown, power, within

    assert [bare(x) for x in (0.5649, -0.04, 1.254, 0.996)] == [".56", "-.04", "1.25", "1.00"]
    assert within([0.05149, 0.0445, 0.05949], 3) == ".051 [.044, .059]"
    assert [power(x) for x in (0.217, 1.2117, 3.5e-15)] == ["2.2e-1", "1.2", "3.5e-15"]
    assert markdown(["a", "b"], [["1", ""]]) == "| a | b |\n|---|---|\n| 1 | |"


@pytest.mark.parametrize("folder", ["experiments", "benchmarks"])
def test_results_name_no_folder_of_a_machine(folder):
    """A command that made a result is one that anyone can give."""
    local = re.compile(r"(?<![\w.])/(tmp|home|root|work|Users|mnt)/")
    found = [
        path for path in (FOLDER.parent / folder).rglob("*.json") if local.search(path.read_text())
    ]
    assert found == []
