# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own table: no training
#
# A learner that comes with metajax predicts a column of a small table. It reads the rows and gives
# calibrated probabilities at once, without training. This notebook takes under three minutes on a
# CPU, most of it compiling.

# %%
# metajax is on no package index. Where it is missing, as on Colab, install it from a clone, or from
# a wheel that `pip wheel --no-deps .` makes in a clone and that you upload next to this notebook.
import importlib.util

if importlib.util.find_spec("metajax") is None:
    raise ModuleNotFoundError(
        "metajax is missing: run `%pip install 'PATH[export,physics]'` in a new cell, with the "
        "path of a clone of metajax or of a wheel made there by `pip wheel --no-deps .`, and then "
        "this cell again"
    )

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metajax.systems import tables

# %% [markdown]
# ## A table
#
# The table has 178 wines of three cultivars, with 13 measurements each. The cultivars of thirty
# wines are given. You can use any other table: numbers in rows, `NaN` where a value is missing, and
# a label for each row.

# %%
inputs, labels = load_wine(return_X_y=True)
names = np.array(["barolo", "grignolino", "barbera"])[labels]
order = np.random.default_rng(0).permutation(len(labels))
known, asked = order[:30], order[30:]

# %% [markdown]
# ## Read it
#
# `fit` trains nothing. It solves logistic regressions and Gaussian-process classifiers with ten
# kernels in closed form, and from each its predictions of every row from the other rows. A network
# that was trained once, on synthetic tables, uses these predictions. It decides how much to trust
# each classifier, and how certain the answer is. The file of its weights records how it was
# trained.

# %%
model = tables.InContextClassifier().fit(inputs[known], names[known])
likely = model.predict_proba(inputs[asked])
print("accuracy", np.mean(model.predict(inputs[asked]) == names[asked]))
print({name: tables.shipped().origin[name] for name in ("command", "steps", "seed")})

# %% [markdown]
# ## Missing values
#
# A missing value counts as the mean of its column.

# %%
holes = inputs.copy()
holes[np.random.default_rng(1).random(holes.shape) < 0.2] = np.nan
model = tables.InContextClassifier().fit(holes[known], names[known])
print("accuracy with a fifth of all values missing", model.score(holes[asked], names[asked]))
print("columns with missing values", model.missing_features_)

# %% [markdown]
# ## Are the probabilities right?
#
# The log loss measures this: a wrong answer with a high probability costs much. The baseline is
# logistic regression with scikit-learn's defaults. Both learn from the same 10, 20, 40 and 80 rows.


# %%
def log_loss(model, rows):
    fitted = model.fit(inputs[order[:rows]], names[order[:rows]])
    rest = order[80:]
    places = np.searchsorted(fitted.classes_, names[rest])
    return -np.log(fitted.predict_proba(inputs[rest])[np.arange(len(rest)), places]).mean()


numbers = [10, 20, 40, 80]
regression = make_pipeline(StandardScaler(), LogisticRegression())
losses = {
    "in context": [log_loss(tables.InContextClassifier(), rows) for rows in numbers],
    "logistic regression": [log_loss(regression, rows) for rows in numbers],
}
for name, found in losses.items():
    plt.plot(numbers, found, "o-", label=name)
plt.xscale("log")
plt.xticks(numbers, numbers)
plt.xlabel("known rows")
plt.ylabel("log loss on other rows (nats)")
plt.legend()
plt.show()

# %% [markdown]
# ## Now change this
#
# - Read a table of your own: `inputs` is an array `[rows, features]`, and `names` has one label for
#   each row.
# - Put the model into scikit-learn's `cross_val_score` in place of `LogisticRegression`.
# - The command line does the same: `metajax predict --shipped wines.csv --target cultivar` reads a
#   CSV file whose first line names the columns. Rows whose target is empty are predicted from the
#   others. It writes the probabilities of all rows, and a figure of how well the known ones are
#   predicted.
