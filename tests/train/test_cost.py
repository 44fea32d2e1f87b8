"""What a meta-step costs, by its parts."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.cli.main import main
from metajax.core import ConfigError, HostFed, Staged, gradient
from metajax.train import cost, profile, profile_table
from metajax.train.cost import Part, Profile, measured

KEY = jax.random.key(0)


def test_operations_and_bytes_of_a_product_are_its_own():
    a, b = jnp.ones((64, 128)), jnp.ones((128, 32))
    part, product = measured(jnp.matmul, (a, b), 3)
    np.testing.assert_array_equal(product, np.full((64, 32), 128.0))
    assert part.gflop == pytest.approx(2 * 64 * 128 * 32 / 1e9, rel=0.05)
    assert part.gbytes == pytest.approx(4 * (64 * 128 + 128 * 32 + 64 * 32) / 1e9, rel=0.5)
    assert part.compile_seconds > 0 < part.seconds


def at_any_step(tasks, key, step):
    return tasks(key)


TASKS = toy_problem.make_tasks()


@pytest.mark.parametrize(
    ("tasks_at_once", "tasks"),
    [(None, TASKS), (2, Staged(jax.tree_util.Partial(at_any_step, TASKS)))],
    ids=["all", "2, staged"],
)
def test_a_step_is_its_parts_in_operations(tasks_at_once, tasks, monkeypatch):
    monkeypatch.setattr(cost, "PEAK_SIZE", 256)  # the command's test below measures at full size
    monkeypatch.setattr(cost, "PEAK_BYTES", 1 << 24)
    learner = toy_problem.make_learner()
    algorithm = gradient(learner, optax.adam(1e-2), tasks_at_once=tasks_at_once)
    found = profile(algorithm, tasks, tasks_per_step=4, key=KEY, steps=3)
    assert list(found.parts) == ["sampling", "forward", "backward", "update", "step"]
    flops = [found.parts[name].gflop for name in ("forward", "backward", "update")]
    assert 0 < flops[0] < flops[1] < flops[2]
    alone = found.parts["sampling"].gflop + found.parts["update"].gflop
    assert 0.5 * alone < found.parts["step"].gflop < 2 * alone
    assert found.peak_gflops > 0.1 < found.peak_gbytes
    assert found.host_seconds > 0
    assert list(found.spent) == ["sampling", "forward", "backward", "optimiser", "host"]
    text = profile_table(found)
    assert "sampling" in text and "of peak" in text


def test_time_is_told_apart_by_what_each_part_adds():
    seconds = {"sampling": 1.0, "forward": 2.0, "backward": 6.0, "update": 7.0, "step": 9.0}
    parts = {name: Part(0.0, took, 0.0, 0.0, 0.0) for name, took in seconds.items()}
    found = Profile(parts, 0.5, 1.0, 1.0, 1).spent
    assert found == {"sampling": 1, "forward": 2, "backward": 4, "optimiser": 1, "host": 0.5}
    whole = {name: parts[name] for name in ("sampling", "update", "step")}
    assert Profile(whole, 0.5, 1.0, 1.0, 1).spent == {"sampling": 1, "update": 7, "host": 0.5}


def test_what_the_host_feeds_is_refused():
    algorithm = gradient(toy_problem.make_learner(), optax.adam(1e-2))
    fed = HostFed(None, None)
    with pytest.raises(ConfigError, match="tasks"):
        profile(algorithm, fed, tasks_per_step=4, key=KEY)
    with pytest.raises(ConfigError, match="steps"):
        profile(algorithm, toy_problem.make_tasks(), tasks_per_step=4, key=KEY, steps=0)


def test_the_command_writes_its_figures(tmp_path, capsys):
    path = tmp_path / "cost.json"
    small = ["--preset", "sinusoid", "--width", "8", "--tasks-per-step", "2"]
    assert main(["profile", "fewshot", *small, "--timed", "2", "--json", str(path)]) == 0
    assert "of peak" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert {"sampling", "forward", "backward", "update", "step"} == set(found["parts"])
    assert set(found["spent_seconds"]) >= {"forward", "backward", "optimiser", "host"}
    assert found["parameters"] > 0
    assert found["command"].startswith("metajax profile fewshot") and found["hardware"]
