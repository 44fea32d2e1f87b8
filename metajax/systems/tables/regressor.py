"""Regression on small tables with scikit-learn's interface: solved, not trained or tuned."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from metajax.learners import predict_mixture, solve_mixture
from metajax.systems.tables.estimator import TableEstimator
from metajax.systems.tables.reading import AT_ONCE, standardized, standards


class InContextRegressor(RegressorMixin, TableEstimator):
    """Predict numbers of small tables by kernel ridges, weighed by left-out rows.

    ``fit`` solves linear and Gaussian kernels with several strengths of the ridge in closed form;
    the better a solution predicts each row from the others, the more it counts. Nothing is trained
    or tuned. Features are standardized; a missing value (NaN) counts as the feature's mean, and a
    feature that does not vary is left out.

    Attributes:
      constant_features_: places of the features that do not vary where they are known.
      missing_features_: places of the features with missing values.

    Examples:
      >>> import numpy as np
      >>> from metajax.systems.tables import InContextRegressor
      >>> rows = np.linspace(-1, 1, 20)[:, None]
      >>> model = InContextRegressor().fit(rows, 3 * rows[:, 0])
      >>> bool(abs(model.predict(np.array([[0.5]]))[0] - 1.5) < 0.01)
      True
    """

    def fit(self, X: Any, y: Any) -> InContextRegressor:
        """Read a table.

        Args:
          X: numbers ``[rows, features]``, NaN where a value is missing; 2,048 rows at most.
          y: numbers ``[rows]``.

        Raises:
          ConfigError: more rows.
        """
        X, y = self._known(X, y, y_numeric=True)
        y = np.asarray(y, np.float64)
        self.shift_, self.factor_ = standards(X)
        self.mean_, spread = float(y.mean()), float(y.std())
        self.unit_ = spread if spread > 1e-10 * abs(self.mean_) + 1e-100 else 1.0
        rows = standardized(X, self.shift_, self.factor_)
        self.solved_ = solve_mixture(rows, (y - self.mean_) / self.unit_)
        self._note(X, self.factor_)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict rows.

        Args:
          X: numbers ``[rows, features]``, NaN where a value is missing.
          return_std: whether to return standard deviations too, the noise of a target included.

        Returns:
          Means ``[rows]``, or means and standard deviations.
        """
        rows = standardized(self._asked(X), self.shift_, self.factor_)
        parts = [
            predict_mixture(self.solved_, rows[first : first + AT_ONCE])
            for first in range(0, len(rows), AT_ONCE)
        ]
        means, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
        means = self.mean_ + self.unit_ * means
        return (means, self.unit_ * np.sqrt(variances)) if return_std else means
