"""The shipped reader of tables on small real ones, compared with scikit-learn's classifiers.

    python experiments/tables/benchmark.py --out experiments/tables/results/defaults.json
    python experiments/tables/benchmark.py --tuned --splits 3 \\
        --out experiments/tables/results/tuned.json

Each split of a set holds some rows to learn from, one of every class and the others at random, and
up to 200 further rows to predict: the same for every method. All methods read the same numbers:
missing values by the mean of the rows to learn from, features standardized by them.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import sklearn
from real_tables import LOADERS, Table
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from metajax.systems import build, read_run
from metajax.systems.setup import first_drawn
from metajax.systems.tables import InContextClassifier, Model, shipped
from metajax.train import restore_params, write_json

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


def default(name: str, labels: np.ndarray) -> Any:
    """A method with scikit-learn's defaults."""
    return DEFAULTS[name]()


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
    """Rows with missing values filled and features standardized, by the known rows."""
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
    loss = -np.log(likely).mean()
    return {"accuracy": round(float(right.mean()), 4), "log_loss": round(float(loss), 4)}


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


def as_first_drawn(model: Model) -> Model:
    """The same reader before training: what it owes to solving alone."""
    setup, key = build(model.config), jax.random.key(model.config.seed)
    drawn = first_drawn(setup.method.learner, setup.problem.new, key)
    return model._replace(params=drawn)


def run(
    table: Table, methods: dict[str, Callable[[np.ndarray], Any]], number: int
) -> dict[str, dict[str, Any]]:
    """Try methods on all sizes of a set: by size and method, scores and costs by split."""
    found: dict[str, dict[str, Any]] = {}
    for rows in ROWS:
        for name, make in methods.items():
            each: list[dict[str, float]] = []
            sure, right = [], []
            spent = []
            for known, asked in splits(table, rows, number):
                x, queries = as_numbers(table, known, asked)
                began = time.process_time()
                model = make(table.labels[known]).fit(x, table.labels[known])
                likely = np.asarray(model.predict_proba(queries), float)
                spent.append(time.process_time() - began)
                each.append(scores(likely, table.labels[asked]))
                sure.append(likely.max(1))
                right.append(likely.argmax(1) == table.labels[asked])
            if each:
                by_score: dict[str, Any] = {key: [one[key] for one in each] for key in each[0]}
                error = calibration_error(np.concatenate(sure), np.concatenate(right))
                by_score["calibration_error"] = round(error, 4)
                # the first of a size may compile
                by_score["cpu_seconds"] = round(float(np.median(spent)), 4)
                found.setdefault(str(rows), {})[name] = by_score
    return found


def merge(earlier: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Results of a set with those of other methods that were there already."""
    return {rows: earlier.get(rows, {}) | by_method for rows, by_method in found.items()}


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
        model = shipped() if options.run is None else trained(options.run)
        untrained = as_first_drawn(model)
        methods["in_context"] = lambda labels: InContextClassifier(model)
        methods["first_drawn"] = lambda labels: InContextClassifier(untrained)
    for name in DEFAULTS:
        methods[name] = functools.partial(tuned if options.tuned else default, name)
    if options.methods:
        methods = {name: methods[name] for name in options.methods}
    command = "python experiments/tables/benchmark.py" + (" --tuned" if options.tuned else "")
    result: dict[str, Any] = {
        "command": f"{command} --splits {options.splits}",
        "splits": options.splits,
        "queries": QUERIES,
        "floor": FLOOR,
        "machine": f"2 shared CPU cores, {platform.machine()}",
        "versions": {"jax": jax.__version__, "scikit-learn": sklearn.__version__},
        "shapes": {},
        "sets": {},
    }
    if options.out.exists():
        earlier = json.loads(options.out.read_text())
        if earlier["splits"] != options.splits:
            raise SystemExit(f"{options.out} has {earlier['splits']} splits")
        result |= {name: earlier[name] for name in ("shapes", "sets")}
    for name in options.sets:
        table = LOADERS[name]()
        found = run(table, methods, options.splits)
        result["sets"][name] = merge(result["sets"].get(name, {}), found)
        result["shapes"][name] = [*table.inputs.shape, table.classes]
        write_json(options.out, result)
        first = next(iter(methods))
        losses = {
            rows: round(float(np.mean(by[first]["log_loss"])), 3) for rows, by in found.items()
        }
        print(name, result["shapes"][name], f"log loss of {first}", losses, flush=True)


if __name__ == "__main__":
    main()
