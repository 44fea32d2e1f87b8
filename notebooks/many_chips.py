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
# # Sweep on many chips
#
# This notebook trains one run on all chips and then many runs on one chip, and shows how to train
# many runs on many chips. A laptop is enough: JAX can show its CPU as eight devices. About a minute
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

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

if jax.config.jax_platforms in (None, "", "cpu"):
    jax.config.update("jax_num_cpu_devices", 8)  # before JAX is used; GPUs and TPUs ignore it

import metajax as mj
from metajax.cli.main import main
from metajax.data import sinusoid_tasks
from metajax.learners import maml, mean_squared_error
from metajax.nn import mlp
from metajax.sweep import read_results

print(jax.device_count(), "devices")

# %% [markdown]
# ## One run on all chips
#
# `parallel="jit"` splits the tasks of each step over all devices. The draws are the same, so the
# result is that of one device, up to rounding. `tasks_per_step` must be a multiple of the number of
# devices.

# %%
learner = maml(mlp([40, 40], 1), mean_squared_error, optax.sgd(0.01), steps=1)
found = {
    parallel: mj.fit(
        mj.gradient(learner, optax.adam(1e-3)),
        sinusoid_tasks(10, 10),
        steps=50,
        tasks_per_step=4 * jax.device_count(),
        key=jax.random.key(0),
        parallel=parallel,
        progress=False,
    )
    for parallel in ("none", "jit")
}
losses = [result.history[-1]["loss"] for result in found.values()]
print("last loss:", *losses)
assert abs(losses[0] - losses[1]) < 1e-3 * losses[0]

# %% [markdown]
# ## Many runs on one chip
#
# A small run leaves a chip mostly idle. With `--engine vmap` all runs of a sweep are one compiled
# program. The values of the grid are traced, so nothing is compiled twice. Here 3 inner learning
# rates, 3 outer learning rates and 2 seeds make 18 runs. (`main([...])` does the same as the
# command `metajax ...`; called again, it resumes.)

# %%
folder = Path(tempfile.mkdtemp()) / "rates"
inner, outer = ["0.001", "0.003", "0.01"], ["0.0003", "0.001", "0.01"]
sweep = ["sweep", "fewshot", "--preset", "sinusoid_quick", "--steps", "300", "--eval-tasks", "200"]
sweep += ["--grid", f"inner_lr={','.join(inner)}", f"learning_rate={','.join(outer)}"]
sweep += ["--seeds", "2", "--engine", "vmap", "--workdir", str(folder), "--no-progress"]
assert main(sweep) == 0

# %% [markdown]
# ## Many runs on many chips
#
# Runs whose networks differ in shape must be separate processes: `--engine process --workers 8`. On
# a TPU host each process must see one chip. Here each chip gets one of the seeds:
#
# ```bash
# for chip in 0 1 2 3; do
#   TPU_VISIBLE_CHIPS=$chip TPU_CHIPS_PER_PROCESS_BOUNDS=1,1,1 TPU_PROCESS_BOUNDS=1,1,1 \
#     metajax sweep fewshot --grid hidden=40,80 --seed $chip --workdir runs/seed-$chip &
# done; wait
# ```
#
# Recipes for whole TPU slices are in `experiments/launch`. To train one run on a slice of several
# hosts, use `metajax train ... --parallel jit --distributed`. [Sweeps](../docs/sweeps.md) explains
# all options.

# %% [markdown]
# ## What the sweep found
#
# This figure is drawn from `results.csv`. `report.html` in the same folder also has intervals and
# learning curves.

# %%
error = np.zeros((len(inner), len(outer)))
for row in read_results(folder):
    at = inner.index(row["inner_lr"]), outer.index(row["learning_rate"])
    error[at] += float(row["rows.new_tasks.mean[-1]"]) / 2  # two seeds
figure, axis = plt.subplots(figsize=(5, 3.5), layout="constrained")
image = axis.imshow(error, cmap="viridis_r")
axis.set_xticks(range(len(outer)), outer)
axis.set_yticks(range(len(inner)), inner)
axis.set(xlabel="outer rate (learning_rate)", ylabel="inner rate (inner_lr)")
for row in range(len(inner)):
    for column in range(len(outer)):
        axis.text(column, row, f"{error[row, column]:.2f}", ha="center", color="white")
figure.colorbar(image, label="squared error on new tasks")
plt.show()
assert error[2, 1:].min() < 0.7 * error[0].min()

# %% [markdown]
# ## Now change this
#
# - Sweep another system: `metajax list` names them. [Sweeps](../docs/sweeps.md) lists the fields
#   that one program can vary.
# - Draw random rates instead of a grid: `"--random", "inner_lr=log:1e-4:1e-1", "--samples", "8"`.
# - Stop bad runs early: `--engine ray --scheduler asha`.
