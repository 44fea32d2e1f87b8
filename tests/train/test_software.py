"""Versions of what computes."""

from importlib import metadata

import metajax
from metajax.train.software import versions


def test_a_checkout_that_is_not_installed_has_a_version(monkeypatch):
    installed = metadata.version

    def of_others(name):
        if name == "metajax":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", of_others)
    assert versions(("metajax", "jax")) == {
        "metajax": metajax.__version__,
        "jax": installed("jax"),
    }
