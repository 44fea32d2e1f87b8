"""What a user finds of the package: by name, by completion, in the wheel, with a type checker."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

import metajax

ROOT = Path(__file__).parents[1]


def in_a_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_package_is_listed_and_reached_by_attribute():
    """In a process that has imported nothing else: completion and use go through ``mj`` alone."""
    names = {info.name for info in pkgutil.iter_modules(metajax.__path__)}
    said = in_a_new_process(
        """
        import metajax as mj
        print(*dir(mj))
        mj.hypernet.generator, mj.sweep.expand, mj.cli, mj.bilevel.online, mj.learners.maml
        mj.physics.pde.PDE, mj.systems.gpicl.projection_tasks, mj.systems.hypino.shipped
        assert "pde" in dir(mj.physics) and "hypino" in dir(mj.systems)
        mj.fit, mj.Fit, mj.__version__
        """
    )
    listed = set(said.split())
    assert names - {"__main__"} <= listed
    assert set(metajax.__all__) <= listed


def test_the_version_stands_in_one_place():
    """The distribution reads it from the package; the citation and the changelog name the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "metajax.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == metajax.__version__
    released = re.findall(r"^## (\d\S*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert released[0] == metajax.__version__


def test_a_missing_extra_is_named():
    """In a process where no optional dependency can be imported; what needs none runs."""
    said = in_a_new_process(
        """
        import pathlib
        import sys
        import tempfile
        missing = "diffrax", "flatbuffers", "grain", "ray", "skfem", "tensorboardX"
        sys.modules |= dict.fromkeys(missing)
        import jax
        import jax.numpy as jnp
        import pytest
        import metajax as mj
        from metajax.core import MissingExtraError
        from metajax.train.metrics import MetricsLog

        spring = mj.physics.get_mechanics("mass_spring")
        parameters, state = spring.draw(jax.random.key(0))

        def move(method):
            return mj.physics.trajectory(spring, state, parameters, jnp.arange(2.0), method=method)

        move("leapfrog")
        with pytest.raises(MissingExtraError, match="metajax.physics."):
            move("dopri8")
        with pytest.raises(MissingExtraError, match="metajax.grain."):
            mj.data.host_batches("digits", tasks_per_step=1, examples_per_task=(2,))
        with pytest.raises(MissingExtraError, match="metajax.export."):
            mj.load_exported("function")
        with pytest.raises(MissingExtraError, match="metajax.fem."):
            import metajax.physics.pde.finite_elements
        with tempfile.TemporaryDirectory() as folder:
            with pytest.raises(MissingExtraError, match="metajax.tensorboard."):
                MetricsLog(pathlib.Path(folder), tensorboard=True)
        """
    )
    assert not said


def test_an_unknown_name_is_an_attribute_error():
    for module in (metajax, metajax.systems, metajax.physics):
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = module.no_such_name


def shipped(root: Path) -> set[Path]:
    """The files other than modules that ``[tool.setuptools.package-data]`` puts into a wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]
    return {
        path
        for package, globs in patterns.items()
        for pattern in globs
        for path in root.joinpath(*package.split(".")).glob(pattern)
    }


def test_all_files_of_the_package_ship():
    """``py.typed``, by which type checkers know that the package has types, is one of them."""
    ignored = {".py", ".pyc", ".md"}
    files = {path for path in (ROOT / "metajax").rglob("*") if path.is_file()}
    data = {path for path in files if path.suffix not in ignored}
    assert data == shipped(ROOT)
    assert ROOT / "metajax" / "py.typed" in data


@pytest.mark.slow
def test_a_users_script_is_type_checked_against_it(tmp_path):
    """A right script passes under ``--strict``, one that gives ``fit`` no steps does not."""
    venv.create(tmp_path / "venv", symlinks=True)  # mypy reads types of what is installed
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    modules = set((ROOT / "metajax").rglob("*.py"))
    for path in modules | shipped(ROOT):
        target = site / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    head = """
        import jax
        import optax
        import metajax as mj
        from metajax.data import sinusoid_tasks
        from metajax.learners import maml, mean_squared_error
        from metajax.nn import mlp

        learner: mj.MetaLearner = maml(mlp([8], 1), mean_squared_error, optax.sgd(0.1), steps=1)
        algorithm: mj.Algorithm = mj.gradient(learner, optax.adam(1e-3))
        """
    call = "result: mj.Fit = mj.fit(algorithm, sinusoid_tasks(4, 4), tasks_per_step=2, key=key{})"
    for steps, right in ((", steps=1", True), ("", False)):
        script = tmp_path / f"script_{right}.py"
        text = textwrap.dedent(head) + "key = jax.random.key(0)\n" + call.format(steps) + "\n"
        script.write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "mypy",
            str(script),
            "--strict",
            "--follow-imports",
            "silent",
            "--python-executable",
            str(tmp_path / "venv" / "bin" / "python"),
            "--cache-dir",
            str(tmp_path / "cache"),
            # what metajax needs is not in this environment
            "--disable-error-code",
            "import-not-found",
        ]
        without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, cwd=tmp_path, env=without, capture_output=True, text=True)
        assert (done.returncode == 0) == right, done.stdout
        assert right or '"steps"' in done.stdout, done.stdout
