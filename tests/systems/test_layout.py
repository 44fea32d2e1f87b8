"""The layout that a family is read from: what each has is read, what it lacks has its default."""

import importlib

import pytest

from metajax.systems import SYSTEMS, System, Training, configure, get_system
from metajax.systems.layout import PLACES, family
from metajax.systems.show import table

UNITED = "weights"
"""The family of several kinds of problem, each of which is laid out as others are."""


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_stands_in_its_place_is_read(name):
    system = get_system(name)
    assert isinstance(system, System)
    for kind in system.kinds:
        module = kind.problem.__module__.rpartition(".")[0]
        is_read(kind, module, but=("training", "tiny"))
        assert kind.name == name
    if not system.kinds:
        is_read(system, f"metajax.systems.{name}")
    assert system.name == name


def is_read(system, package, but=()):
    """Hold that a system has what stands in its places, ``but`` what is shared or of a config."""
    for field, (module, called) in PLACES.items():
        try:
            there = importlib.import_module(f"{package}.{module}")
        except ModuleNotFoundError:
            continue
        if hasattr(there, called) and field not in but:
            assert getattr(system, field) is getattr(there, called), field


def test_a_united_family_leaves_a_run_to_the_kind_of_its_method():
    whole = get_system(UNITED)
    config = configure(whole, "widths")
    assert config.system in whole.kinds and config.method in config.system.methods
    with pytest.raises(TypeError, match=r"config\.system"):
        whole.evaluate()
    assert list(whole.methods) == [method for kind in whole.kinds for method in kind.methods]


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
