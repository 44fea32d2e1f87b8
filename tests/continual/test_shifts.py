"""Shifts of images: what each kind does, and one program for all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.continual import SHIFTS, shift_images, turned
from metajax.continual.shifts import AMOUNTS
from metajax.core import ConfigError

KEY = jax.random.key(4)
IMAGES = jax.random.uniform(jax.random.key(1), (6, 8, 9, 2), minval=0.1, maxval=0.9)
GRAY = jnp.full((40, 12, 12, 1), 0.5)
TRACES = []


@jax.jit
def shifted(images, kind, severity):
    TRACES.append(images.shape)
    return shift_images(images, kind, severity, KEY)


def by(name, severity, images=IMAGES):
    return np.asarray(shifted(images, jnp.int32(SHIFTS.index(name)), jnp.float32(severity)))


def amount(name, severity):
    return np.interp(severity, range(6), AMOUNTS[name])


def test_one_program_serves_all_kinds_and_severities():
    TRACES.clear()
    other = IMAGES[:, :7]
    for severity in (0.0, 1.5, 5.0):
        for name in SHIFTS:
            found = by(name, severity, other)
            assert found.shape == other.shape and found.min() >= 0 and found.max() <= 1
            if severity == 0:
                np.testing.assert_allclose(found, other, atol=1e-6)
            else:
                assert np.abs(found - other).mean() > 0.003
    assert len(TRACES) == 1


def test_a_name_stands_for_its_index_and_others_are_rejected():
    np.testing.assert_array_equal(
        shift_images(IMAGES, "gamma", 2.0, KEY),
        shift_images(IMAGES, SHIFTS.index("gamma"), 2.0, KEY),
    )
    for kind in ("fog", -1, len(SHIFTS)):
        with pytest.raises(ConfigError) as raised:
            shift_images(IMAGES, kind, 2.0, KEY)
        assert raised.value.field == "kind"


@pytest.mark.parametrize("severity", [2, 2.5])
def test_shifts_of_levels_are_their_closed_forms(severity):
    """Between whole severities the amount lies between theirs."""
    images = np.asarray(IMAGES)
    brighter = np.clip(images + amount("brightness", severity), 0, 1)
    np.testing.assert_allclose(by("brightness", severity), brighter, atol=1e-6)
    np.testing.assert_allclose(
        by("gamma", severity), images ** amount("gamma", severity), atol=1e-6
    )
    mean = images.mean((1, 2, 3), keepdims=True)
    flatter = mean + amount("contrast", severity) * (images - mean)
    np.testing.assert_allclose(by("contrast", severity), flatter, atol=1e-6)
    angle = np.radians(amount("rotate", severity))
    np.testing.assert_allclose(by("rotate", severity), turned(IMAGES, angle), atol=1e-5)


def test_noise_and_impulses_have_their_strength():
    spread = by("noise", 2, GRAY).std()
    assert spread == pytest.approx(AMOUNTS["noise"][2], rel=0.05)
    changed = by("impulse", 5, GRAY)
    assert set(np.unique(changed)) == {0.0, 0.5, 1.0}
    # 5,760 pixels: a share of .27 has a deviation of .006
    assert np.mean(changed != 0.5) == pytest.approx(AMOUNTS["impulse"][5], abs=0.02)
    assert np.mean(changed == 1) == pytest.approx(AMOUNTS["impulse"][5] / 2, abs=0.02)


def test_blur_spreads_a_point_as_a_normal_does():
    point = jnp.zeros((1, 15, 15, 1)).at[0, 7, 7, 0].set(1.0)
    found = by("blur", 4, point)[0, :, :, 0]
    assert found.sum() == pytest.approx(1, rel=1e-5)
    away = np.arange(15) - 7
    assert (found.sum(0) * away**2).sum() == pytest.approx(AMOUNTS["blur"][4] ** 2, rel=1e-2)
    np.testing.assert_allclose(found, found.T, atol=1e-7)
    np.testing.assert_allclose(by("blur", 4, GRAY), GRAY, rtol=1e-6)


def test_pixelate_makes_blocks_of_one_pixel_each():
    assert AMOUNTS["pixelate"][3] == 2
    images = IMAGES[:, :, :8]
    found = by("pixelate", 3, images)
    np.testing.assert_array_equal(found, np.repeat(np.repeat(images[:, 1::2, 1::2], 2, 1), 2, 2))
