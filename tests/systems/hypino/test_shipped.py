"""The hypernetwork that comes with the package: the README's example, and where it is no use."""

import re
import warnings
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.physics.pde import PDE, Boundary, Points
from metajax.systems import hypino
from metajax.systems.hypino.one_problem import warn_of_nothing


@pytest.fixture(scope="module")
def example():
    """The README's text, and what its Python example leaves behind."""
    text = resources.files("metajax.systems.hypino").joinpath("README.md").read_text("utf-8")
    return text, run(text, 0)


def run(text, index):
    """Run one of a page's Python examples; return what it leaves behind."""
    code, found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[index], {}
    exec(compile(code, "README.md", "exec"), found)
    return found


def test_the_example_has_the_error_that_stands_under_it(example):
    text, found = example
    quoted = re.search(r"`error` is (.*?); that of the best constant is (.*?)\.\n", text)
    error, constant = map(float, quoted.groups())
    true = found["true"]
    best = jnp.std(true) / jnp.sqrt(jnp.mean(true**2))
    assert float(found["error"]) == pytest.approx(error, abs=0.006)
    assert float(best) == pytest.approx(constant, abs=0.006)
    # one where it works: far from the best constant, far from 0
    assert found["error"] < 0.5 * best < 0.5
    assert found["u"].u.shape == true.shape == (2048,)


@pytest.mark.slow
def test_a_source_alone_is_answered_with_nearly_nothing(example):
    """Poisson's equation with u = 0 on the edge, as the README says."""
    _, found = example
    model = found["model"]

    def true(x, y):
        return (1 - x**2) * (1 - y**2)

    pde = PDE([0, 0, 0, 1, 1], lambda x, y: -2 * (2 - x**2 - y**2), dirichlet=0.0)
    points = found["sample"](pde, jax.random.key(0))
    inputs = hypino.Inputs(pde.coefficients, found["rasterise"](pde, points, model.config.grid))
    learner = model.learner
    weights = learner.adapt(model.params, inputs, jax.random.key(0))
    u = learner.predict(model.params, weights, points.interior).u
    exact = true(*points.interior.T)
    assert jnp.linalg.norm(u - exact) > 0.95 * jnp.linalg.norm(exact)
    with pytest.warns(UserWarning, match="no better than 0 everywhere"):
        hypino.solve(pde, model=model, head=False, size=9)


def test_what_is_warned_of_is_a_residual_of_the_whole_source():
    one, none, some = jnp.ones(3, bool), jnp.zeros(3), jnp.array([0.0, 0.1, 0.0])
    edge = Boundary(jnp.zeros((3, 2)), jnp.zeros((3, 2)), jnp.zeros(3, jnp.int32))

    def warned(residual, source, dirichlet=none, neumann=none):
        source = jnp.full(3, source)
        points = Points(jnp.zeros((3, 2)), source, edge, dirichlet, one, neumann, one)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_nothing(points, residual, float(source[0]))
        return bool(caught)

    assert warned(1.0, 1.0) and warned(0.95e-6, 1e-6) and warned(3.0, 1.0)
    assert not warned(0.5, 1.0)
    assert not warned(1.0, 1.0, dirichlet=some) and not warned(1.0, 1.0, neumann=some)
    assert not warned(0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["data", "head"])
def test_no_such_warning_where_data_or_a_solve_make_the_solution(example, how):
    model, solution = (example[1][name] for name in ("model", "solution"))
    if how == "data":
        pde, options = PDE([0, 0, 0, 1, 1], dirichlet=solution), {"head": False}
    else:
        pde, options = PDE([0, 0, 0, 1, 1], -1.0, dirichlet=0.0), {"features": 20}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*no better than 0")
        hypino.solve(pde, model=model, size=9, **options)


@pytest.mark.slow
def test_features_that_are_made_for_a_problem_solve_it(example):
    """The largest value of Poisson's problem on the square is .2947, by its Fourier series."""
    found = run(example[0], 1)
    near = np.linalg.norm(found["points"].interior, axis=1) < 0.1
    assert found["u"][near].max() == pytest.approx(0.2947, abs=0.003)
    assert found["left"] < 0.1
