"""Few-shot learning of real characters, where the files of Omniglot's small sets are at hand."""

import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

from metajax.data import load_images, prepare
from metajax.systems import build, configure
from metajax.train import fit

FILES = Path(__file__).parents[4] / "shared" / "data" / "omniglot-small"
CONFIG = configure("fewshot", "omniglot_small", method="prototypical", eval_every=10**9)

pytestmark = pytest.mark.skipif(
    not FILES.is_dir(), reason="omniglot-small: the zip files of Omniglot's small sets are not here"
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Both zips unpacked into one folder, alphabet by alphabet, and prepared from there."""
    folder = tmp_path_factory.mktemp("omniglot")
    for path in sorted(FILES.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".png"):
                    image = folder / "images" / Path(*Path(name).parts[1:])
                    image.parent.mkdir(parents=True, exist_ok=True)
                    image.write_bytes(archive.read(name))
    prepare("omniglot_small", folder / "images", data_dir=folder / "sets")
    return folder / "sets"


def test_each_character_is_a_class_of_twenty_drawings(data_dir):
    images = load_images("omniglot_small", "train", data_dir)
    assert images.images.shape == (242 * 20, 105, 105, 1)
    assert (np.bincount(images.labels) == 20).all()


def test_characters_of_training_and_test_are_apart(data_dir):
    """And an episode's support and query hold no image twice."""
    problem = build(CONFIG, data_dir).problem
    pixels = {}
    for name in ("tasks", "test"):
        task = jax.vmap(getattr(problem, name))(jax.random.split(jax.random.key(0), 40))
        images = np.concatenate([task.support.inputs, task.query.inputs], 1)
        rows = np.asarray(images).reshape(40, images.shape[1], -1)
        assert all(len(np.unique(episode, axis=0)) == len(episode) for episode in rows)
        pixels[name] = {row.tobytes() for episode in rows for row in episode}
    assert not pixels["tasks"] & pixels["test"]


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_prototypes_of_characters_never_seen_beat_the_nearest_image(data_dir):
    """One example of each of five: 81% against 55% after 100 meta-steps of seed 0."""
    run = build(CONFIG, data_dir)
    params = fit(
        run.algorithm,
        run.tasks,
        steps=100,
        tasks_per_step=run.tasks_per_step,
        key=jax.random.key(0),
        progress=False,
    ).params
    rows = run.evaluate(params, False)["rows"]
    new, nearest = rows["new_tasks"], rows["nearest_mean"]
    assert new["mean"][-1] > nearest["mean"][-1] + 0.15
    assert new["high"][-1] - new["low"][-1] < 0.04 and new["n"] == 600
