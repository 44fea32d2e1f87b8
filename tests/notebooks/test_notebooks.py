"""Every notebook runs, and its .ipynb holds the source of its .py twin."""

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_holds_one_source(name):
    def cells(path):
        return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]

    assert cells(FOLDER / f"{name}.py") == cells(FOLDER / f"{name}.ipynb")


@pytest.mark.parametrize("name", NAMES)
def test_what_the_site_shows_is_there(name):
    """Outputs are committed: run .ci/run_notebooks where they are not.

    A notebook ends with a picture and with what to change next.
    """
    *cells, last = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells
    assert last.source.startswith("## Now change this")
    drawn = [
        cell
        for cell in cells
        if cell.cell_type == "code"
        and any("image/png" in output.get("data", {}) for output in cell.outputs)
    ]
    *_, heading = [cell for cell in cells if cell.source.startswith("## ")]
    assert cells.index(drawn[-1]) > cells.index(heading), "the last section draws nothing"


@pytest.fixture(scope="module")
def generator():
    """The script that writes the first cells."""
    loader = SourceFileLoader("first_cells", str(FOLDER.parent / ".ci" / "notebooks"))
    module = module_from_spec(spec_from_loader("first_cells", loader))
    loader.exec_module(module)
    return module


def both(name):
    return [(FOLDER / f"{name}.{end}").read_text(encoding="utf-8") for end in ("py", "ipynb")]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cells_are_those_of_the_repositorys_address(generator, name):
    """Run .ci/notebooks where they are not."""
    files = both(name)
    assert list(generator.rewritten(*files, name, generator.address())) == files


@pytest.mark.parametrize(
    ("address", "badges"), [("https://github.com/a/b", 2), ("https://code.example/a/b", 0)]
)
def test_an_address_is_installed_from_and_can_be_taken_back(generator, address, badges):
    files = both("your_tasks")
    changed = generator.rewritten(*files, "your_tasks", address)
    for text in changed:
        assert f"git+{address}" in text and "pip wheel" not in text
        assert text.count("a/b/blob/main/notebooks/your_tasks.ipynb") == badges // 2
    assert list(generator.rewritten(*changed, "your_tasks", generator.address())) == files


def test_a_release_is_installed_from_the_index(generator, monkeypatch):
    monkeypatch.setattr(generator, "RELEASED", True)
    assert 'source = "metajax[export,physics]"' in generator.first_cell(None)


def test_without_an_address_the_first_cell_says_how_to_install(generator):
    """It does nothing where metajax is there."""
    cell = generator.first_cell(None)
    exec(compile(cell, "cell", "exec"), {})
    exec(compile(generator.first_cell("https://no.such.host/a/b"), "cell", "exec"), {})
    # -I: no folder of this process leads to metajax, -S: nor do installed packages
    done = subprocess.run([sys.executable, "-I", "-S", "-c", cell], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ModuleNotFoundError: metajax is missing: run `%pip install 'PATH[" in done.stderr


RUN = [
    "continual",
    "differentiable_solve",
    "generated_networks",
    "gpicl",
    "growing",
    "hamiltonian",
    "hypergradients",
    "hypino",
    "many_chips",
    "maml",
    "solved_energy",
    "tables",
    "your_data",
    "your_network",
    "your_outer_loop",
    "your_tasks",
]


QUICK = ["hypino"]
"""Notebooks that compile much and train nothing: nothing is optimized in their programs."""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_the_notebook_runs(name, tmp_path, monkeypatch):
    """Its own assertions hold: the loss fell, the gains are what the text says.

    `your_tasks` is compiled as users compile it, without the flags that make tests quick. The
    others have these flags, but their programs are optimized, except those in QUICK.
    """
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    if name not in QUICK:
        monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS")
    if name == "your_tasks":
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=900, kernel_name="python3").execute(cwd=str(FOLDER))


def test_no_output_names_a_folder_of_the_machine_that_made_it():
    for name in NAMES:
        text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "/tmp/" not in text and "site-packages" not in text, name


def test_every_notebook_is_run():
    assert set(NAMES) == set(RUN)
