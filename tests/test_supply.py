"""What metajax installs: the lock names it all."""

import re
import tomllib
from pathlib import Path

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
    """Otherwise make it anew: bash .ci/lock."""
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
