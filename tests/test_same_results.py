"""The script that compares commits runs each by its own files."""

from pathlib import Path

import same_results
from same_results import Case, run_case

PROGRAM = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--workdir") + 1])
folder.mkdir(parents=True)
summary = {"params_sha256": __file__, "final": None}
(folder / "summary.json").write_text(json.dumps(summary))
(folder / "eval.json").write_text(json.dumps({"rows": {}, "more": {}}))
"""


def test_a_tree_is_run_by_its_own_files_from_any_folder(tmp_path, monkeypatch):
    """From a checkout too, whose own package Python would find in the current folder first."""
    tree = tmp_path / "tree"
    (tree / "metajax" / "cli").mkdir(parents=True)
    for package in (tree / "metajax", tree / "metajax" / "cli"):
        (package / "__init__.py").touch()
    (tree / "metajax" / "cli" / "main.py").write_text(PROGRAM)
    monkeypatch.chdir(same_results.ROOT)
    found = run_case(Case("name", "gpicl", "digits", "lstm", {}), tree, tmp_path / "cache")
    assert Path(found["params_sha256"]).is_relative_to(tree)
