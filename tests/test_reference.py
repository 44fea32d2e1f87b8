"""The built site names every public function, and no other."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import metajax

ROOT = Path(__file__).parents[1]
PACKAGES = {
    name: importlib.import_module(name).__all__
    for name in [
        "metajax",
        *(info.name for info in pkgutil.walk_packages(metajax.__path__, "metajax.") if info.ispkg),
    ]
    if hasattr(importlib.import_module(name), "__all__")
}


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """By package, the names that the built site has an entry for."""
    site = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
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


@pytest.mark.parametrize("package", PACKAGES)
def test_the_site_has_what_the_package_exports(named, package):
    # the program that makes the reference solutions is described on its package's page; what needs
    # scikit-learn is imported when it is asked for
    lazy = {"InContextClassifier"} & set(PACKAGES[package])
    assert named[package] - {"finite_elements"} | lazy == set(PACKAGES[package]) - {"__version__"}


def test_no_module_is_hidden_by_a_function_of_its_name():
    """Otherwise the site, and a reader who imports it, finds the function in the module's place."""
    for package, names in PACKAGES.items():
        modules = {
            info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__)
        }
        assert not modules & set(names), package
