"""The layout that a family is read from: what each has is read, what it lacks has its default."""

import importlib

import pytest

from metajax.systems import SYSTEMS, System, Training, configure, get_system
from metajax.systems.layout import PLACES, family
from metajax.systems.show import table

DISPATCHED = "weights"
"""The family of several kinds of problem: it passes on to one of them what others read."""


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != DISPATCHED])
def test_what_stands_in_its_place_is_read(name):
    system = get_system(name)
    package = f"metajax.systems.{name}"
    for field, (module, called) in PLACES.items():
        try:
            there = importlib.import_module(f"{package}.{module}")
        except ModuleNotFoundError:
            continue
        if hasattr(there, called):
            assert getattr(system, field) is getattr(there, called), field
    assert isinstance(system, System)
    assert system.name == name


def test_what_a_family_lacks_has_its_default():
    system = get_system("fewshot")
    assert system.training is Training
    assert system.table is table
    assert system.prepare is None


def test_one_objective_is_foretold_by_the_first_evaluator():
    objective = get_system("gpicl").objective(configure("gpicl"))
    assert objective.logged == "unseen/last"
    images, curves = (
        get_system("fewshot").objective(configure("fewshot", preset))
        for preset in ("digits", "sinusoid")
    )
    assert images.greatest
    assert not curves.greatest


def test_a_package_without_the_modules_is_rejected():
    with pytest.raises(TypeError, match="settings"):
        family("metajax.using", objective=lambda config: None, evaluators={}, summary="")
