"""A learner of curves of one's own, on points: a parabola by least squares, written here."""

import jax.numpy as jnp
import numpy as np
import pytest

import metajax as mj
from metajax import using


def powers(x):
    return jnp.concatenate([x**0, x, x**2], axis=1)


def adapt(params, support, key):
    return jnp.linalg.lstsq(powers(support.inputs), support.targets)[0]


PARABOLAS = mj.MetaLearner(
    lambda key, task: (),
    adapt,
    lambda params, adapted, inputs: powers(inputs) @ adapted,
    lambda params, task, key: (0.0, {}),
)
X = np.linspace(-2, 2, 6)
Y = 1 - X + 0.5 * X**2


def test_points_of_a_parabola_give_all_of_it():
    at = np.linspace(-3, 3, 9)
    found = using.curve(PARABOLAS, (), (X, Y)).predict(at)
    np.testing.assert_allclose(found, 1 - at + 0.5 * at**2, atol=1e-4)


@pytest.mark.parametrize(
    ("support", "field"),
    [
        (X, "support"),
        ((X, Y[:-1]), "support.targets"),
        ((X, np.full(6, np.nan)), "support.targets"),
        ((X.reshape(3, 2), Y), "support.inputs"),
        (([], []), "support.targets"),
    ],
)
def test_what_is_no_curve_is_rejected_by_name(support, field):
    with pytest.raises(mj.ConfigError) as raised:
        using.curve(PARABOLAS, (), support)
    assert raised.value.field == field


def test_files_of_points_are_told(tmp_path):
    def adapt(points):
        return using.curve(PARABOLAS, (), points)

    np.savez(tmp_path / "a.npz", x=X, y=Y, queries=[3.0])
    table = "\n".join(["x,y", *(f"{x},{y}" for x, y in zip(X, Y, strict=True)), "3,"])
    (tmp_path / "a.csv").write_text(table)
    for name in ("a.npz", "a.csv"):
        told = using.tell_curve(adapt, tmp_path / name)
        np.testing.assert_allclose(told.columns["predicted"], [1 - 3 + 4.5], atol=1e-4)
    told.draw().savefig(tmp_path / "a.png")
    np.savez(tmp_path / "b.npz", x=X, y=Y)
    assert len(using.tell_curve(adapt, str(tmp_path / "b.npz")).columns["x"]) == 200
    (tmp_path / "c.csv").write_text("x,y\n1,\n")
    for name, target, field in (("a.npz", "y", "--target"), ("c.csv", None, "DATA")):
        with pytest.raises(mj.ConfigError) as raised:
            using.tell_curve(adapt, tmp_path / name, target)
        assert raised.value.field == field
