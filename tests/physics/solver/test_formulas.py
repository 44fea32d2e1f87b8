"""Formulas mean what Python and NumPy say, have right derivatives, and end quickly if bad."""

import re
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from metajax.core import ConfigError
from metajax.physics.solver.formulas import DEEPEST, FUNCTIONS, read_formula

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "physics_solver.md"
OF_NUMPY = {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "atan2": np.arctan2,
    "erf": scipy.special.erf,
    "min": np.minimum,
    "max": np.maximum,
}


def at(text, x=0.3, y=-0.7):
    x, y = jnp.asarray(x), jnp.asarray(y)
    return np.asarray(jax.jit(read_formula("source", text))(x, y))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "where"])
def test_every_function_is_numpys_with_its_derivative(name):
    of_numpy = OF_NUMPY.get(name) or getattr(np, name)
    first = 1.15 if name == "acosh" else 0.15
    numbers = [first, 0.7][: FUNCTIONS[name].least]
    formula = read_formula("source", f"{name}({', '.join(['x', 'y'][: len(numbers)])})")
    with jax.enable_x64(True):
        x, y = jnp.float64(first), jnp.float64(0.7)
        np.testing.assert_allclose(formula(x, y), of_numpy(*numbers), rtol=1e-12)
        for place in range(len(numbers)):
            ahead, behind = ([first, 0.7], [first, 0.7])
            ahead[place] += 1e-6
            behind[place] -= 1e-6
            rise = of_numpy(*ahead[: len(numbers)]) - of_numpy(*behind[: len(numbers)])
            np.testing.assert_allclose(jax.grad(formula, place)(x, y), rise / 2e-6, atol=1e-8)
    constant = read_formula("source", f"{name}({', '.join(map(str, numbers))})")(0.0, 0.0)
    assert isinstance(constant, float)
    np.testing.assert_allclose(constant, of_numpy(*numbers), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-x ** 2", -0.09),
        ("2 ** -x ** 2", 2**-0.09),
        ("2 ** 3 ** 2", 512.0),
        ("x - y - 1", 0.0),
        ("8 / 4 / 2 * x", 0.3),
        ("- -x + +y", -0.4),
        ("y ** 3", -0.343),
        ("1_000 * x + .5e1 + 1.", 306.0),
        ("e ** (1 + x) / pi", np.exp(1.3) / np.pi),
        ("x\n + y", -0.4),
        ("min(x, y, -1) + max(0, x, y)", -0.7),
        ("where(x < 0, 1, 2)", 2.0),
        ("where(-1 < y <= x < 1, x, y)", 0.3),
        ("where(not x > 0 or y >= 0 and x == 0.5, 1, 0)", 0.0),
        ("where(x != y and 1 < 2, 3, 4)", 3.0),
        ("where(2 < 1, x, y)", -0.7),
        ("where(x > 0, where(y > 0, 1, 2), 3)", 2.0),
        ("x" + " - x + x" * 400, 0.3),
        ("7", 7.0),
    ],
)
def test_operators_bind_as_in_python(text, value):
    np.testing.assert_allclose(at(text), value, rtol=2e-6, atol=1e-6)


def test_whole_powers_have_derivatives_at_zero_and_below():
    formula = read_formula("source", "x ** 3 + x ** 2 + x ** 0")
    for x, slopes in ((0.0, (0.0, 2.0)), (-1.0, (1.0, -4.0))):
        first = jax.grad(lambda x: formula(x, x))
        np.testing.assert_allclose((first(x), jax.grad(first)(x)), slopes)


def test_formulas_are_of_any_variables_and_conditions():
    formula = read_formula(
        "nonlinear",
        "u ** 3 - k * u_x + where(core or x < 0, 1, 0)",
        ("u", "u_x", "x", "k"),
        ("core",),
    )
    core = np.array([True, False, False])
    u, slope, x = np.array([[1.0, 2, 3], [4, 5, 6], [0.5, -0.5, 0.5]])
    found = formula(u, slope, x, 2.0, core)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, u**3 - 2 * slope + [1, 1, 0])
    with jax.enable_x64(True):
        there = jax.jit(formula)(*map(jnp.asarray, (u, slope, x)), 2.0, core)
    np.testing.assert_array_equal(there, found)
    for text, words in (
        ("core + u", "what stands before '\\+' at"),
        ("where(u, 1, 2)", "argument 1 of 'where'"),
        ("u_t", "did you mean 'u_x'"),
        ("core", "the formula must be a number"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_formula("nonlinear", text, ("u", "u_x"), ("core",))


def test_equal_formulas_are_one_to_jax():
    one, two = read_formula("a", "x + 1"), read_formula("b", "x + 1")
    assert one == two and hash(one) == hash(two) and one != read_formula("a", "x + 2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9**9**9 * x", r"'\*\*' at character 2"),
        ("x ** 9 ** 9 ** 9", r"'\*\*'"),
        ("exp(exp(exp(9)))", "'exp' at character 5"),
        ("1" * 400, "is no finite real number"),
        ("1e999 * x", "is no finite real number"),
        ("(" * 4000 + "x" + ")" * 4000, f"more than {DEEPEST}"),
        ("-" * 9000 + "x", f"more than {DEEPEST}"),
        ("2 ** " * 1000 + "x", f"more than {DEEPEST}"),
        ("sin(" * 1000 + "x" + ")" * 1000, f"more than {DEEPEST}"),
        ("x" * 10**6, "10,000 characters"),
        ("+".join(["x * y"] * 600), "2,399 operations"),
        ("1 / 0", "divides by 0"),
        ("x / (1 - 1)", "divides by 0"),
        ("0 ** -1", "has no value"),
        ("log(0)", "has no value"),
        ("sqrt(-1)", "has no value"),
        ("(-8) ** (1 / 3)", "no finite real number"),
        ("1j * x", "an operator, such as"),
        ("x y", "'y' at character 3 stands where an operator"),
        ("2x", "'x' at character 2 stands where an operator"),
        ("x ^ 2", r"is not the power; \*\* is"),
        ("x = 1", "== is"),
        ("x²", "has no meaning"),
        ("٣ * x", "has no meaning"),
        ("x # + y", "has no meaning"),
        ("x.real", "'.' at character 2"),
        ("x[0]", "has no meaning"),
        ("'x'", "has no meaning"),
        ("x; y", "has no meaning"),
        ("lambda: x", "has no meaning"),
        ("x if y else 1", "'if' at character 3"),
        ("2024-01-31", "a 0 before it"),
        ("0x10", "'x10'"),
        ("", "the end stands where a value is missing"),
        ("2 +", "the end stands where a value"),
        ("()", "where a value is missing"),
        ("sin", "where '\\('"),
        ("sin x", "where '\\('"),
        ("sin()", "where a value is missing"),
        ("sin(x", "where '\\)'"),
        ("sin(x)(y)", "an operator"),
        ("sin(x, y)", "takes 1 arguments, and 2 are given"),
        ("atan2(x)", "takes 2 arguments, and 1"),
        ("min(x)", "takes 2 to 9 arguments, and 1"),
        ("where(x < 0, 1)", "takes 3 arguments"),
        ("sin(x=1)", "is not a comparison"),
        ("arctan(x)", "did you mean 'atan'"),
        ("sine(x)", "did you mean 'sin'"),
        ("maximum(x, y)", "did you mean 'max'"),
        ("t", "'t' at character 1 is an unknown name"),
        ("__import__('os')", "has no meaning"),
        ("eval(x)", "an unknown name"),
        ("x < y", "the formula must be a number"),
        ("(x < y) + 1", "what stands before '\\+'"),
        ("1 + (x < y)", "what stands after '\\+'"),
        ("-(x < y)", "what stands after '-'"),
        ("sin(x < y)", "argument 1 of 'sin'"),
        ("where(x, 1, 2)", "argument 1 of 'where'"),
        ("where(x < y, x < y, 2)", "argument 2 of 'where'"),
        ("where(x and y, 1, 2)", "what stands before 'and'"),
        ("where(not x, 1, 2)", "what stands after 'not'"),
        ("where((x < y) < x, 1, 2)", "what stands before '<'"),
    ],
)
def test_what_is_no_formula_is_refused_at_once_and_says_where(text, words):
    began = time.process_time()
    with pytest.raises(ConfigError, match=words) as caught:
        read_formula("source", text)
    assert (
        time.process_time() - began < 10
    )  # and not for ever; a large process collects garbage too
    assert caught.value.field == "source" and len(str(caught.value)) < 900


def test_the_reference_page_lists_every_function():
    page = PAGE.read_text(encoding="utf-8")
    listed = page[page.index("**Formulas**") : page.index("**Boundary data**")]
    words = set(re.findall(r"\w+", listed))
    assert set(FUNCTIONS) <= words
