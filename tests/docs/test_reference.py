"""The built site names every public function, and no other."""

import importlib
import pkgutil
import re

import pytest

import metajax

PACKAGES = {
    name: importlib.import_module(name).__all__
    for name in [
        "metajax",
        *(info.name for info in pkgutil.walk_packages(metajax.__path__, "metajax.") if info.ispkg),
    ]
    if hasattr(importlib.import_module(name), "__all__")
}


LATE = ("classifier.InContextClassifier", "regressor.InContextRegressor")
"""What needs scikit-learn is imported when it is asked for: its entry is that of its module."""


@pytest.fixture(scope="module")
def entries(site):
    """What the built reference says of each name."""
    found = {}
    for page in site.glob("reference/*/index.html"):
        _, *parts = re.split(r'<h\d id="(metajax[^"]*)"', page.read_text(encoding="utf-8"))
        found |= dict(zip(parts[::2], parts[1::2], strict=True))
    for name in LATE:
        entry = found.pop(f"metajax.systems.tables.{name}")
        found[f"metajax.systems.tables.{name.partition('.')[2]}"] = entry
    return found


def test_the_site_has_what_each_package_exports(entries):
    named = {package: set() for package in PACKAGES}
    for entry in entries:
        package, _, name = entry.rpartition(".")
        if package in PACKAGES and entry not in PACKAGES:
            named[package].add(name)
    for package, exported in PACKAGES.items():
        # the program that makes the reference solutions is described on its package's page
        assert named[package] - {"finite_elements"} == set(exported) - {"__version__"}, package


def test_no_entry_is_empty(entries):
    """Each says something in words of its own."""
    exported = {f"{package}.{name}" for package, names in PACKAGES.items() for name in names}
    empty = {name for name in exported & set(entries) if not re.search(r"<p>\s*\S", entries[name])}
    assert not empty


def test_no_module_is_hidden_by_a_function_of_its_name():
    """Otherwise the site, and a reader who imports it, finds the function in the module's place."""
    for package, names in PACKAGES.items():
        modules = {
            info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__)
        }
        assert not modules & set(names), package
