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
# # A pendulum never seen: energies that adapt to new physics
#
# A graph network computes the energy of a mechanical system. The symplectic gradient of the energy
# gives the motion. The network is meta-trained by MAML on springs, Henon-Heiles systems and a
# magnetic mirror. It then adapts to fifty points of a pendulum's motion. There are two baselines:
# the same steps from random initial weights (*as first drawn*), and a polynomial energy that is
# fitted by least squares. About two minutes on a CPU.

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
import jax
import matplotlib.pyplot as plt
import numpy as np

import metajax as mj
from metajax.physics import energy, get_mechanics, trajectory
from metajax.systems import build, configure, hamiltonian

# %% [markdown]
# ## Systems and their motion
#
# `metajax.physics` has the energies. It draws systems at random (their constants and an initial
# state) and integrates them. The ground truth is computed in float64, by a method of order 8.

# %%
pendulum = get_mechanics("pendulum")
with mj.core.enable_x64(True):
    parameters, start = pendulum.draw(jax.random.key(1))
    times = np.linspace(0, 10, 200)
    motion = trajectory(pendulum, start, parameters, times).states
    energies = np.asarray(energy(pendulum.hamiltonian, motion, parameters))
print("relative drift of energy:", np.abs(energies / energies[0] - 1).max())

# %% [markdown]
# ## Meta-training
#
# `configure` takes the same settings as the command line. One type of system is held out of
# training. `build` simulates trajectories of the others, and makes the tasks and the algorithm for
# `fit`.

# %%
config = configure(
    "hamiltonian",
    method="maml",
    mechanics=("mass_spring", "pendulum", "henon_heiles", "magnetic_mirror"),
    held_out="pendulum",
    trajectories=300,
    steps=1000,
    tasks_per_step=9,
    eval_tasks=40,
)
run = build(config)
result = mj.fit(
    run.algorithm,
    run.tasks,
    steps=run.steps,
    tasks_per_step=run.tasks_per_step,
    key=jax.random.key(0),
)

# %% [markdown]
# ## Adapting
#
# Each of forty new pendulums gives fifty points; adapting takes fifty steps of SGD. A roll-out is
# the motion that an adapted energy predicts: it starts in the true initial state and runs for ten
# seconds. The errors are relative, and averaged as logarithms.

# %%
instances = hamiltonian.new_instances(config, "pendulum", config.eval_tasks)
key = jax.random.key(0)
first_drawn = run.algorithm.params(run.algorithm.init(key, run.tasks(key)))
steps = (0, 10, 50)
starts = {"meta-trained": result.params, "as first drawn": first_drawn}
found = {
    name: hamiltonian.adapt_and_roll(config, run.method, params, instances, steps, 50)
    for name, params in starts.items()
}
fitted, _, _ = hamiltonian.fit_and_roll(instances, "pendulum", 6, config.shots)
polynomial = hamiltonian.summarise(fitted).mean
print("error of coordinates after", *steps, "steps")
errors = {name: hamiltonian.summarise(rolled.coordinates).mean for name, rolled in found.items()}
for name, by_step in errors.items():
    print(f"  {name:15}", np.round(by_step, 4))
print("  polynomial     ", np.round(polynomial, 4))

# %%
assert errors["meta-trained"][-1] < 0.3 * errors["as first drawn"][-1]
assert errors["meta-trained"][-1] < 0.5 * errors["meta-trained"][0]

# %% [markdown]
# After fifty steps, the meta-trained energy predicts the motion of a pendulum. A polynomial fitted
# to the same points is still better, because this energy is smooth and has only one coordinate. It
# is the baseline to beat.

# %% [markdown]
# ## Fewer points
#
# Fewer points than the config's need no new compilation.

# %%
for shots in (5, 10, 25, 50):
    rolled = hamiltonian.adapt_and_roll(config, run.method, result.params, instances, steps, shots)
    print(shots, "points:", round(hamiltonian.summarise(rolled.coordinates).mean[-1], 4))

# %% [markdown]
# ## Three pendulums, followed for ten seconds

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
for i, ax in enumerate(axes):
    ax.plot(instances.true[0].q[i, :, 0, 0], instances.true[0].p[i, :, 0, 0], "k", lw=3, alpha=0.3)
    for name, rolled in found.items():
        ax.plot(rolled.states.q[i, -1, :, 0, 0], rolled.states.p[i, -1, :, 0, 0], label=name)
    ax.set(xlabel="angle (rad)", ylabel="momentum")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Now change this
#
# - Hold out another type: `held_out="mass_spring"`. Or train on all six types of the paper, in
#   `mechanics`.
# - Solve for the energy instead of taking gradient steps:
#   [an energy from 20 points](solved_energy.ipynb).
# - `metajax train hamiltonian` trains on all six types and writes a report; `--structure port` and
#   `--structure driven` learn damping and a driving force too.
