"""The built site names every public function, and no other."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

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


def test_the_site_has_what_the_packages_export(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    entries = {
        entry
        for page in tmp_path.glob("reference/*/index.html")
        for entry in re.findall(r'id="(metajax[^"]*)"', page.read_text(encoding="utf-8"))
    }
    named = {package: set() for package in PACKAGES}
    for entry in entries - PACKAGES.keys():
        package, _, name = entry.rpartition(".")
        if package in PACKAGES:
            named[package].add(name)
    for package, exported in PACKAGES.items():
        # the program that makes the reference solutions is described on its package's page; what
        # needs scikit-learn is imported when it is asked for
        lazy = {"InContextClassifier"} & set(exported)
        wanted = set(exported) - {"__version__"}
        assert named[package] - {"finite_elements"} | lazy == wanted, package


def test_no_module_is_hidden_by_a_function_of_its_name():
    """Otherwise the site, and a reader who imports it, finds the function in the module's place."""
    for package, names in PACKAGES.items():
        modules = {
            info.name for info in pkgutil.iter_modules(importlib.import_module(package).__path__)
        }
        assert not modules & set(names), package
