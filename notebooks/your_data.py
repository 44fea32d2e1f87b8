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
# # Adapt on your own data
#
# `mj.load` loads a trained run from its folder. The run then adapts to a few examples of your own
# and answers queries with probabilities. In this notebook a learner that was meta-trained on digits
# classifies a table of wines. Another learner fits a curve through five points. Under two minutes
# on a CPU.

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
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import metajax as mj
from metajax.cli.main import main
from metajax.systems import load_exported

# %% [markdown]
# ## Train something
#
# `main([...])` does the same as the command `metajax ...`. Skip this cell if you have trained runs.
# The first learner classifies from examples, and is trained on tasks made of digits. The second
# fits curves.

# %%
runs = Path(tempfile.mkdtemp())
digits, waves = str(runs / "digits"), str(runs / "waves")
quick = ["--no-progress", "--eval-tasks", "64"]
train = ["train", "gpicl", "--preset", "digits", "--steps", "150", "--workdir", digits, *quick]
assert main(train) == 0
train = ["train", "fewshot", "--preset", "sinusoid_quick", "--method", "ridge", "--workdir", waves]
assert main([*train, "--steps", "1000", *quick]) == 0

# %% [markdown]
# ## Load it
#
# `mj.load` reads the newest undamaged checkpoint onto this machine's device. It does not need the
# training data.

# %%
run = mj.load(digits)
print(run)
print(run.settings.ways, "classes at most")

# %% [markdown]
# ## Adapt to a table
#
# The table has 178 wines of three cultivars, with 13 measurements each. Seven wines of each
# cultivar are labeled. `adapt` takes arrays of rows or images, and labels as integers or text.
# Where it cannot use them, the error says why.

# %%
rows, cultivar = load_wine(return_X_y=True)
names = np.array(["barolo", "grignolino", "barbera"])[cultivar]
rng = np.random.default_rng(0)
labeled = np.concatenate(
    [rng.permutation(np.flatnonzero(names == name))[:7] for name in set(names)]
)
others = np.setdiff1d(np.arange(len(names)), labeled)

adapted = run.adapt((rows[labeled], names[labeled]))
found = adapted.predict(rows[others])
print(found.classes)
print(found.probabilities[:3].round(3))

# %% [markdown]
# ## Is it right?
#
# The labeled wines are drawn ten times. The baseline is scikit-learn's logistic regression on the
# same rows. The 95% intervals are over draws.

# %%
accuracy = {"metajax, meta-trained on digits": [], "logistic regression": []}
for seed in range(10):
    rng = np.random.default_rng(seed)
    some = [rng.permutation(np.flatnonzero(names == name))[:7] for name in sorted(set(names))]
    labeled = np.concatenate(some)
    others = np.setdiff1d(np.arange(len(names)), labeled)
    by_run = run.adapt((rows[labeled], names[labeled])).predict(rows[others]).labels
    regression = make_pipeline(StandardScaler(), LogisticRegression())
    by_regression = regression.fit(rows[labeled], names[labeled]).predict(rows[others])
    for scores, predicted in zip(accuracy.values(), (by_run, by_regression), strict=True):
        scores.append(np.mean(predicted == names[others]))
for name, scores in accuracy.items():
    half = 2.262 * np.std(scores, ddof=1) / np.sqrt(len(scores))
    print(f"{name:32} {100 * np.mean(scores):.1f} ± {100 * half:.1f} %")
assert np.mean(accuracy["metajax, meta-trained on digits"]) > 0.8

# %% [markdown]
# After a minute of training on digits, the learner classifies wines without a gradient step on
# them. Logistic regression is still better here. The learner for tables that comes with the package
# was trained on tables, and is better than logistic regression: [your own table](tables.ipynb).

# %% [markdown]
# ## Adapt to points of a curve
#
# The second run adapts to pairs of numbers. It was trained on sine waves of many heights and
# phases.

# %%
curves = mj.load(waves)
x = np.array([-4.0, -2.5, -0.5, 1.0, 3.0])
y = 2.5 * np.sin(x + 1.0)
curve = curves.adapt((x, y))

# %% [markdown]
# ## Take it elsewhere
#
# `export` writes the adapted learner and its parameters to one file. Other programs can load the
# file without metajax.

# %%
path = curve.export(runs / "curve.jax")
elsewhere = load_exported(path)
line = np.linspace(-5, 5, 200, dtype=np.float32)
assert np.allclose(elsewhere(line[:, None]), curve.predict(line), atol=1e-5)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
shares = found.probabilities[np.argsort(found.probabilities @ np.arange(3))]
left.stackplot(np.arange(len(shares)), shares.T, labels=found.classes)
left.set(xlabel="wines, sorted", ylabel="probability")
left.legend(loc="lower left")
right.plot(line, curve.predict(line), label="adapted curve")
right.plot(line, 2.5 * np.sin(line + 1.0), ":", color="grey", label="the wave")
right.plot(x, y, "ko", label="your points")
right.set(xlabel="x", ylabel="y")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Now change this
#
# - Put a table of your own in place of the wines: `rows` is an array `[rows, features]`, and
#   `names` has one label for each row. Images work too: `[images, height, width]`.
# - Move the five points, or give only two.
# - From the command line: `metajax predict RUN DATA`, where DATA is a `.csv`, an `.npz` or a folder
#   of images.
# - Use the learner for tables that comes with the package; it needs no training: [your own
#   table](tables.ipynb).
