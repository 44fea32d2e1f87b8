"""What metajax installs: the lock names it all, and all of it may be used."""

import re
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")


def locked() -> list[Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [Requirement(re.sub(r"\s+#.*", "", line)) for line in lines if not line.startswith("#")]


def wanted(extra: str | None = "test") -> list[Requirement]:
    """The direct requirements of metajax and of an extra, with those of the extras it names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["optional-dependencies"][extra] if extra else project["dependencies"]
    found = [] if extra is None else wanted(None)
    for requirement in map(Requirement, listed):
        if requirement.name == "metajax":
            found += [each for name in requirement.extras for each in wanted(name)]
        else:
            found.append(requirement)
    return found


def holds(requirement: Requirement, python: str) -> bool:
    environment = {**default_environment(), "python_version": python}
    environment["python_full_version"] = f"{python}.0"
    return requirement.marker is None or requirement.marker.evaluate(environment)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_names_one_fitting_version_of_all_that_the_tests_need(python):
    """Otherwise make it again: bash .ci/lock."""
    pinned = [requirement for requirement in locked() if holds(requirement, python)]
    names = [canonicalize_name(requirement.name) for requirement in pinned]
    assert len(names) == len(set(names))
    version = {
        name: re.fullmatch(r"==([^,*]+)", str(requirement.specifier)).group(1)
        for name, requirement in zip(names, pinned, strict=True)
    }
    for requirement in wanted():
        if holds(requirement, python):
            assert requirement.specifier.contains(version[canonicalize_name(requirement.name)])


def test_the_lock_names_no_host_and_no_torch():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "index-url" not in text
    assert not any(requirement.name == "torch" for requirement in locked())


def licences() -> ModuleType:
    path = str(ROOT / ".ci" / "licences")
    loader = SourceFileLoader("licences", path)
    module = module_from_spec(spec_from_loader("licences", loader))
    sys.modules["licences"] = module  # its NamedTuple looks its module up
    loader.exec_module(module)
    return module


def test_all_that_runs_is_under_a_permissive_licence(capsys):
    assert licences().main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("declared", "copyleft", "message"),
    [
        ("", False, "tool 1.0 declares no license"),
        ("GPL-3.0-only", False, "tool 1.0: GPL-3.0-only is not on the list"),
        ("MIT AND LGPL-2.1-or-later", False, "is not on the list"),
        ("MIT", True, "its license files name a GNU license"),
        ("GPL-2.0-only OR MIT", False, None),
        ("BSD-3-Clause AND 0BSD", False, None),
    ],
)
def test_a_licence_that_is_not_permissive_is_named(declared, copyleft, message):
    module = licences()
    found = module.faults([module.Package("tool", "1.0", declared, copyleft)])
    assert (message in found[0]) if message else found == []


def test_a_package_that_is_not_there_is_named():
    module = licences()
    assert module.faults([module.read("no-such-package")]) == [
        "no-such-package is not installed: its license is unknown"
    ]


def test_every_dependency_stands_on_the_page():
    page = (ROOT / "docs" / "licences.md").read_text()
    for requirement in wanted("physics") + wanted("grain"):
        assert f"| {canonicalize_name(requirement.name)} |" in page
