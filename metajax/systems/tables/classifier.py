"""The shipped reader with scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from metajax.systems.tables.estimator import TableEstimator
from metajax.systems.tables.model import shipped
from metajax.systems.tables.reading import read_table


class InContextClassifier(ClassifierMixin, TableEstimator):
    """Classify small tables by a learner that was trained on synthetic ones: nothing is tuned.

    ``fit`` reads the rows, ``predict_proba`` answers with calibrated probabilities. Numbers of
    features and classes are free. Features are standardized; a missing value (NaN) counts as the
    feature's mean, and a feature that does not vary is left out.

    Attributes:
      classes_: the labels.
      constant_features_: places of the features that do not vary where they are known.
      missing_features_: places of the features with missing values.

    Examples:
      >>> import numpy as np
      >>> from metajax.systems.tables import InContextClassifier
      >>> rows = np.array([[0.0], [0.1], [0.9], [1.0]])
      >>> model = InContextClassifier().fit(rows, ["low", "low", "high", "high"])
      >>> model.predict(np.array([[0.05], [0.95]])).tolist()
      ['low', 'high']
    """

    def __init__(self, model: Any = None):
        """Make a classifier.

        Args:
          model: a trained :class:`~metajax.systems.tables.Model`; None: the shipped one.
        """
        self.model = model

    def fit(self, X: Any, y: Any) -> InContextClassifier:
        """Read a table.

        Args:
          X: numbers ``[rows, features]``, NaN where a value is missing; 2,048 rows at most.
          y: labels ``[rows]``, of any kind.

        Raises:
          ConfigError: more rows.
        """
        X, y = self._known(X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.table_ = read_table(shipped() if self.model is None else self.model, X, labels)
        self._note(X, self.table_.factor)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities ``[rows, classes]``, in the order of ``classes_``.

        Args:
          X: numbers ``[rows, features]``, NaN where a value is missing.
        """
        rows = self._asked(X)
        return self.table_.probabilities(rows)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest labels ``[rows]``.

        Args:
          X: as :meth:`predict_proba` takes it.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]
