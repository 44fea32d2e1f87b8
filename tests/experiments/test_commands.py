"""The commands that READMEs and docs name are ones that the command line takes."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from metajax.cli import compare, sweep
from metajax.cli.arguments import parse_train
from metajax.cli.compared_methods import choose, group_words
from metajax.sweep import check_traceable, expand
from metajax.systems import get_system, predicting

ROOT = Path(__file__).parents[2]


def commands(text):
    """Every command of a page's shell blocks, and every `metajax sweep` in its text, as words."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines() + re.findall(r"`(metajax sweep [^`]+)`", text)
    found = [shlex.split(line, comments=True) for line in lines]
    return [words for words in found if words]


NAMED = [
    pytest.param(words, id=f"{path.parent.name}: {shlex.join(words)[:60]}")
    for path in sorted((ROOT / "experiments").glob("*/README.md"))
    if path.parent.name != "launch"
    for words in commands(path.read_text())
    if words[:2] != ["metajax", "data"]
]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED += [
    pytest.param(words, id=f"{path.name}: {shlex.join(words)[:60]}")
    for path in PAGES
    for words in commands(path.read_text())
    if words[0] == "metajax"
    and words[1] in ("train", "compare", "sweep", "predict")
    and not words[2].startswith("--engine")  # a sweep of any system
    and "--help" not in words
]


def check_train(system, *words):
    preset = words[words.index("--preset") + 1] if "--preset" in words else None
    rest = list(words)
    if preset:
        del rest[rest.index("--preset") : rest.index("--preset") + 2]
    parse_train(get_system(system), preset, rest)


def check_compare(*words):
    options, rest = compare.make_parser().parse_known_args(list(words))
    system = get_system(options.system)
    preset = options.preset or next(iter(system.presets))
    entries = choose(system, preset, options.methods, group_words(rest), options.set)
    points = compare.make_points(entries, options.seeds)
    for method, entry in entries.items():
        own = [point for point in points if point.values["method"] == method]
        assert len(own) == options.seeds
        if options.engine == "vmap":
            sweep.check_vmap(system, own, entry.options)


def check_sweep(*words):
    options, request = sweep.read_request(list(words))
    system = get_system(request.system)
    config, _, _ = parse_train(system, request.preset, request.rest)
    points = expand(
        config, request.grid, request.random, samples=request.samples, seeds=request.seeds
    )
    if options.engine == "vmap":
        check_traceable(system, points)


def check_predict(*words):
    parser = argparse.ArgumentParser()
    predicting.add_arguments(parser)
    options = parser.parse_args(words)
    assert len(options.paths) == (1 if options.shipped else 2)


CHECKS = {
    "train": check_train,
    "compare": check_compare,
    "sweep": check_sweep,
    "predict": check_predict,
}


@pytest.mark.parametrize("words", NAMED)
def test_named_commands_are_taken(words, monkeypatch):
    """Scripts are there; settings are known, in range, and fit each other, whatever is on disk."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("metajax.systems.check_fits", lambda configs, data_dir: {})
    if words[0] == "python":
        assert Path(words[1]).is_file()
    else:
        assert words[0] == "metajax"
        CHECKS[words[1]](*words[2:])


def test_a_setting_that_is_not_there_is_found(monkeypatch):
    monkeypatch.setattr("metajax.systems.check_fits", lambda configs, data_dir: {})
    with pytest.raises(SystemExit):
        check_train("fewshot", "--preset", "sinusoid", "--no-such-setting", "3")
    with pytest.raises(ValueError, match="inner_stepz"):
        check_compare("fewshot", "--methods", "maml", "--set", "maml.inner_stepz=3")
