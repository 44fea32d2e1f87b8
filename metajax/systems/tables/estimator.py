"""What the classifier and the regressor share of scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from metajax.core import ConfigError
from metajax.systems.tables.reading import LARGEST

CHECKED: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}


class TableEstimator(BaseEstimator):
    """An estimator of tables with missing values and of bounded size."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _known(self, X: Any, y: Any, **options: Any) -> tuple[Any, Any]:
        """Return checked rows and targets to learn from.

        Raises:
          ConfigError: more rows than can be read.
        """
        X, y = validate_data(self, X, y, **CHECKED, **options)
        if len(y) > LARGEST:
            raise ConfigError("X", f"{len(y)} rows", f"at most {LARGEST} rows to learn from")
        return X, y

    def _note(self, X: Float[np.ndarray, "rows features"], factor: np.ndarray) -> None:
        """Keep which features do not vary, and which have missing values."""
        self.constant_features_ = np.flatnonzero(factor == 0)
        self.missing_features_ = np.flatnonzero(np.isnan(X).any(axis=0))

    def _asked(self, X: Any) -> Float[np.ndarray, "rows features"]:
        """Return checked rows to predict."""
        check_is_fitted(self)
        return validate_data(self, X, reset=False, **CHECKED)
