"""The shipped reader of tables on small real ones, compared with scikit-learn's classifiers.

    python experiments/gpicl/benchmark.py --out results/tables.json
    python experiments/gpicl/benchmark.py --tuned --splits 5 --out results/tables_tuned.json

Each split of a set holds some rows to learn from, one of every class and the others at random, and
up to 200 further rows to predict: the same for every method. All methods read the same numbers:
missing values by the mean of the rows to learn from, features standardised by them.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from real_tables import LOADERS, Table
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from metajax.systems import build, read_run
from metajax.systems.tables import InContextClassifier, Model
from metajax.train import restore_params

ROWS = (10, 30, 100, 300)
QUERIES = 200
LEAST_QUERIES = 50
"""A set with fewer rows left is not tried at this size."""
FLOOR = 1e-6
"""Smaller probabilities count as this one in the log loss."""
BINS = 10
"""Of equal width, of the calibration error."""


class KernelRidgeClassifier(ClassifierMixin, BaseEstimator):
    """scikit-learn's kernel ridge on one-hot labels; what is predicted is cut and made to sum to 1.

    Cut at one part in two of the rows, below.
    """

    def __init__(self, alpha=1.0, kernel="rbf", gamma=None):
        self.alpha, self.kernel, self.gamma = alpha, kernel, gamma

    def fit(self, x, y):
        self.classes_, places = np.unique(y, return_inverse=True)
        one_hot = np.eye(len(self.classes_))[places]
        self.mean_, self.least_ = one_hot.mean(0), 0.5 / len(y)
        self.model_ = KernelRidge(alpha=self.alpha, kernel=self.kernel, gamma=self.gamma)
        self.model_.fit(x, one_hot - self.mean_)
        return self

    def predict_proba(self, x):
        found = np.clip(self.model_.predict(x) + self.mean_, self.least_, None)
        return found / found.sum(1, keepdims=True)

    def predict(self, x):
        return self.classes_[self.predict_proba(x).argmax(1)]


DEFAULTS: dict[str, Callable[[], Any]] = {
    "logistic_regression": LogisticRegression,
    "svm": lambda: SVC(probability=True, random_state=0),
    "random_forest": lambda: RandomForestClassifier(random_state=0),
    "k_nearest": KNeighborsClassifier,
    "kernel_ridge": KernelRidgeClassifier,
}
"""With scikit-learn's defaults."""

GRIDS: dict[str, dict[str, list[Any]]] = {
    "logistic_regression": {"C": [0.01, 0.1, 1.0, 10.0]},
    "svm": {"C": [0.1, 1.0, 10.0], "gamma": ["scale", 0.01]},
    "random_forest": {"min_samples_leaf": [1, 3, 10]},
    "k_nearest": {"n_neighbors": [1, 3, 5, 10, 20]},
    "kernel_ridge": {"alpha": [0.1, 1.0, 10.0], "gamma": [None, 0.01]},
}
"""What three-fold cross-validation chooses from, by log loss."""


def tuned(name: str, labels: np.ndarray) -> Any:
    """A method with settings by three-fold cross-validation, where each class has three rows."""
    least = int(np.bincount(labels)[np.unique(labels)].min())
    grid = dict(GRIDS[name])
    if name == "k_nearest":
        grid["n_neighbors"] = [k for k in grid["n_neighbors"] if k <= len(labels) // 2] or [1]
    if least < 3:
        return DEFAULTS[name]()
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = DEFAULTS[name]()
    if name == "random_forest":
        model.set_params(n_estimators=50)
    return GridSearchCV(model, grid, scoring="neg_log_loss", cv=folds)


def splits(table: Table, rows: int, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows to learn from and rows to predict; nothing where the set is too small."""
    total = len(table.labels)
    if rows < table.classes or total - rows < LEAST_QUERIES:
        return
    for seed in range(number):
        order = np.random.default_rng([seed, rows]).permutation(total)
        first = np.unique(table.labels[order], return_index=True)[1]
        order = np.concatenate([order[np.sort(first)], np.delete(order, first)])
        yield order[:rows], order[rows : rows + QUERIES]


def as_numbers(table: Table, known: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with missing values filled and features standardised, by the known rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a column whose values are all missing
        mean = np.nan_to_num(np.nanmean(table.inputs[known], axis=0))
    x = np.where(np.isnan(table.inputs), mean, table.inputs)
    spread = x[known].std(0)
    x = (x - x[known].mean(0)) / np.where(spread > 1e-9, spread, 1)
    return x[known], x[asked]


def scores(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, and log loss in nats, of probabilities ``[rows, classes]``."""
    likely = np.maximum(found[np.arange(len(labels)), labels], FLOOR)
    right = found.argmax(1) == labels
    return {"accuracy": float(right.mean()), "log_loss": float(-np.log(likely).mean())}


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over bins of the largest probability."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(np.sum(confidence[bins == b] - right[bins == b])) for b in range(BINS)]
    return float(np.sum(gaps) / len(right))


def trained(workdir: Path) -> Model:
    """The reader of a run's newest checkpoint."""
    _, config, _ = read_run(workdir)
    setup = build(config)
    key = jax.random.key(0)
    params, _ = restore_params(workdir, setup.algorithm, setup.example_tasks, key)
    return Model(config, params, {})


def run(
    tables: list[Table], methods: dict[str, Callable[[np.ndarray], Any]], number: int
) -> dict[str, Any]:
    """Try all methods on all sets and sizes: scores by split, and what they cost."""
    found: dict[str, Any] = {}
    for table in tables:
        for rows in ROWS:
            for name, make in methods.items():
                each: list[dict[str, float]] = []
                sure, right = [], []
                for known, asked in splits(table, rows, number):
                    x, queries = as_numbers(table, known, asked)
                    began, wall = time.process_time(), time.perf_counter()
                    model = make(table.labels[known]).fit(x, table.labels[known])
                    likely = np.asarray(model.predict_proba(queries), float)
                    spent = {
                        "cpu_seconds": round(time.process_time() - began, 4),
                        "wall_seconds": round(time.perf_counter() - wall, 4),
                    }
                    each.append(scores(likely, table.labels[asked]) | spent)
                    sure.append(likely.max(1))
                    right.append(likely.argmax(1) == table.labels[asked])
                if each:
                    by_score = {key: [one[key] for one in each] for key in each[0]}
                    error = calibration_error(np.concatenate(sure), np.concatenate(right))
                    by_score["calibration_error"] = error
                    found.setdefault(table.name, {}).setdefault(str(rows), {})[name] = by_score
        print(table.name, table.inputs.shape, table.classes, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tuned", action="store_true", help="cross-validated settings")
    parser.add_argument("--run", type=Path, help="a run of tables, in place of the shipped")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--sets", nargs="*", default=list(LOADERS))
    parser.add_argument("--methods", nargs="*", help="all by default; others keep what --out holds")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning)
    methods: dict[str, Callable[[np.ndarray], Any]] = {}
    if not options.tuned:
        model = None if options.run is None else trained(options.run)
        methods["in_context"] = lambda labels: InContextClassifier(model)
    for name in DEFAULTS:
        methods[name] = (
            (lambda labels, name=name: tuned(name, labels))
            if options.tuned
            else (lambda labels, name=name: DEFAULTS[name]())
        )
    if options.methods:
        methods = {name: methods[name] for name in options.methods}
    tables = [LOADERS[name]() for name in options.sets]
    found = run(tables, methods, options.splits)
    if options.out.exists():
        earlier = json.loads(options.out.read_text())["sets"]
        for name, by_rows in found.items():
            for rows, by_method in by_rows.items():
                kept = earlier.get(name, {}).get(rows, {})
                found[name][rows] = kept | by_method
        found = earlier | found
    shapes = {table.name: [*table.inputs.shape, table.classes] for table in tables}
    result = {
        "command": "python experiments/gpicl/benchmark.py"
        + (" --tuned" if options.tuned else "")
        + f" --splits {options.splits}",
        "splits": options.splits,
        "seeds": list(range(options.splits)),
        "queries": QUERIES,
        "floor": FLOOR,
        "machine": f"{platform.machine()}, 2 shared CPU cores, jax {jax.__version__}",
        "shapes": shapes,
        "sets": found,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
