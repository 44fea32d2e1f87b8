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


@pytest.fixture(scope="module")
def named(site):
    """By package, the names that the built site has an entry for."""
    entries = {
        entry
        for page in site.glob("reference/*/index.html")
        for entry in re.findall(r'id="(metajax[^"]*)"', page.read_text(encoding="utf-8"))
    }
    return {
        package: {
            name
            for prefix, _, name in (entry.rpartition(".") for entry in entries)
            if prefix == package and f"{package}.{name}" not in PACKAGES
        }
        for package in PACKAGES
    }


def test_the_site_has_what_each_package_exports(named):
    for package, exported in PACKAGES.items():
        # the program that makes the reference solutions is described on its package's page; what
        # needs scikit-learn is imported when it is asked for
        lazy = {"InContextClassifier"} & set(exported)
        found = named[package] - {"finite_elements"} | lazy
        assert found == set(exported) - {"__version__"}, package


def test_no_module_is_hidden_by_a_function_of_its_name():
    """Otherwise the site, and a reader who imports it, finds the function in the module's place."""
    for package, names in PACKAGES.items():
        modules = {
            info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__)
        }
        assert not modules & set(names), package
