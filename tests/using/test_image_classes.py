"""Learners of one's own, written here, on labeled images and rows: no system takes part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

import metajax as mj
from metajax import using
from metajax.core import cross_entropy

FORM = using.ImageForm((8, 8, 1))
WAYS = 3


def nearest_center(ways=WAYS):
    """Logits are squared distances to the classes' means, below them; nothing is trained."""

    def adapt(params, support, key):
        flat = support.inputs.reshape(len(support.inputs), -1)
        member = jax.nn.one_hot(support.targets, ways)
        return member.T @ flat / jnp.maximum(member.sum(axis=0), 1)[:, None]

    def predict(params, centers, inputs):
        flat = inputs.reshape(len(inputs), -1)
        return -jnp.sum(jnp.square(flat[:, None] - centers[None]), axis=2)

    def loss(params, task, key):
        found = predict(params, adapt(params, task.support, key), task.query.inputs)
        return cross_entropy(found, task.query.targets), {}

    return mj.MetaLearner(lambda key, task: (), adapt, predict, loss)


def nearest_of_sequence():
    """The class of the nearest row of a sequence ``[1, n, features]``."""

    def adapt(params, support, key):
        return support

    def predict(params, seen, inputs):
        off = jnp.sum(jnp.square(inputs[0][:, None] - seen.inputs[0][None]), axis=2)
        return 100 * jax.nn.one_hot(seen.targets[0][jnp.argmin(off, axis=1)], WAYS)[None]

    return mj.MetaLearner(lambda key, task: (), adapt, predict, lambda params, task, key: (0.0, {}))


@pytest.fixture(scope="module")
def digits():
    """Eight images of each of three digits with their names, and others."""
    found = load_digits()
    images = (found.images * (255 / 16)).astype(np.uint8)
    order = [np.flatnonzero(found.target == digit) for digit in (3, 5, 8)]
    known, asked = (
        np.concatenate([some[part] for some in order]) for part in (np.s_[:8], np.s_[20:40])
    )
    names = np.array([f"digit {label}" for label in found.target])
    return (images[known], names[known]), (images[asked], names[asked])


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")  # pixels at the border are 0
def test_images_get_the_class_of_the_nearest_mean(digits):
    """As scikit-learn has it of the same pixels; each query alone, whatever the others."""
    (known, names), (asked, truth) = digits
    adapted = using.classes(nearest_center(), (), (known, names), FORM, ways=WAYS)
    found = adapted.predict(asked)
    flat = [images.reshape(len(images), -1).astype(float) for images in (known, asked)]
    np.testing.assert_array_equal(
        found.labels, NearestCentroid().fit(flat[0], names).predict(flat[1])
    )
    assert (found.labels == truth).mean() > 0.8
    # logits are of pixels by their common mean and deviation
    means = np.stack([flat[0][names == name].mean(axis=0) for name in found.classes])
    logits = -np.square((flat[1][:, None] - means) / flat[0].std()).sum(axis=2)
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), atol=1e-4)
    np.testing.assert_allclose(
        adapted.predict(asked[4:5]).probabilities, found.probabilities[4:5], atol=1e-6
    )


def test_a_support_may_have_fewer_classes_than_the_learner(digits):
    (known, names), (asked, _) = digits
    found = using.classes(nearest_center(), (), (known[:16], names[:16]), FORM, ways=3).predict(
        asked
    )
    assert found.classes.tolist() == ["digit 3", "digit 5"]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


def test_rows_are_read_as_a_sequence():
    """The nearest neighbor of standardized rows, in units that do not matter."""
    rows, kinds = load_iris(return_X_y=True)
    rows = rows * [1, 100, 1, 0.01]
    known, asked = np.arange(0, 150, 3), np.arange(1, 150, 3)
    form = FORM._replace(sequence=True)
    adapted = using.classes(nearest_of_sequence(), (), (rows[known], kinds[known]), form, ways=3)
    scale = rows[known].std(axis=0)
    model = KNeighborsClassifier(1).fit(rows[known] / scale, kinds[known])
    found = adapted.predict(rows[asked]).labels
    assert np.mean(found == model.predict(rows[asked] / scale)) > 0.98  # two rows may be as near


def test_rows_are_read_as_a_set(tmp_path):
    """The class of the nearest mean of standardized rows, from arrays and from a table."""
    rows, kinds = load_iris(return_X_y=True)
    known, asked = np.arange(0, 150, 3), np.arange(1, 150, 3)
    scale = rows[known].std(axis=0)

    def adapt(support):
        return using.classes(nearest_center(), (), support, using.RowForm(), ways=3)

    model = NearestCentroid().fit(rows[known] / scale, kinds[known])
    wanted = model.predict(rows[asked] / scale)
    found = adapt((rows[known], kinds[known])).predict(rows[asked])
    np.testing.assert_array_equal(found.labels, wanted)
    lines = ["a,b,c,d,kind"]
    for place in (*known, *asked):
        cells = [*rows[place], kinds[place] if place in known else ""]
        lines.append(",".join(map(str, cells)))
    (tmp_path / "iris.csv").write_text("\n".join(lines))
    told = using.tell_classes(adapt, tmp_path / "iris.csv", using.RowForm(), "kind")
    assert np.mean(told.columns["predicted"].astype(int) == wanted) > 0.95
    with pytest.raises(mj.ConfigError, match="file of rows"):
        using.tell_classes(adapt, tmp_path, using.RowForm())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"ways": 2}, "classes of the support"),
        ({"steps": 3}, "steps"),
        ({"key": jax.random.key(0, impl="rbg")}, "key"),
        ({"support": 5}, "support"),
        ({"support": (np.zeros((4, 64)), [0, 1, 2, 0])}, "support.inputs"),
        ({"support": (np.zeros((4, 8, 8)), [0, 1, 2])}, "support.targets"),
        ({"ways": "3"}, "ways"),
        ({"key": 0}, "key"),
        ({"form": (8, 8, 1)}, "form"),
        ({"form": using.RowForm}, "form"),
        ({"form": using.ImageForm((8, 8))}, "form.image"),
        ({"form": using.RowForm(features=3)}, "support.inputs"),
        ({"learner": mj.nn.mlp([8], 3)}, "learner"),
    ],
)
def test_what_a_learner_cannot_learn_from_is_rejected_by_name(digits, options, field):
    usual = {"learner": nearest_center(), "support": digits[0], "ways": WAYS, "form": FORM}
    if isinstance(options.get("form"), using.RowForm):
        usual["support"] = np.zeros((2, 4)), [0, 1]
    with pytest.raises(mj.ConfigError) as raised:
        using.classes(params=(), **{**usual, **options})
    assert raised.value.field == field


def test_a_learner_of_fewer_classes_is_found_out(digits):
    adapted = using.classes(nearest_center(ways=2), (), digits[0], FORM, ways=WAYS)
    with pytest.raises(mj.ConfigError, match="3 classes or more"):
        adapted.predict(digits[1][0])


def test_a_file_is_read_and_what_it_says_is_told(digits, tmp_path):
    (known, names), (asked, _) = digits

    def adapt(support):
        return using.classes(nearest_center(), (), support, FORM, ways=WAYS)

    path = tmp_path / "mine.npz"
    np.savez(path, inputs=known, labels=names, queries=asked)
    told = using.tell_classes(adapt, str(path), FORM)
    assert told.lines == ["24 labeled examples of 3 classes; 60 queries"]
    np.testing.assert_array_equal(
        told.columns["predicted"], adapt((known, names)).predict(asked).labels
    )
    told.draw().savefig(tmp_path / "mine.png")
    assert told.adapted().predict(asked[:1]).labels == told.columns["predicted"][:1]


def test_what_has_adapted_is_exported(digits, tmp_path):
    (known, names), (asked, _) = digits
    adapted = using.classes(nearest_center(), (), (known, names), FORM, ways=WAYS)
    function = using.load_exported(adapted.export(tmp_path / "function", ("cpu",)))
    found = adapted.predict(asked).probabilities
    np.testing.assert_allclose(function(adapted.encode(asked)), found, atol=1e-5)


def test_a_network_that_knows_its_classes_predicts_them(digits):
    """The softmax of its logits, of pixels as they are standardized here."""
    _, (asked, _) = digits
    network = mj.nn.mlp([8], 3)
    params = network.init(jax.random.key(0), jnp.zeros((1, 64)))
    names = ["a", "b", "c"]
    ready = using.known_classes(network.apply, params, FORM, names, shift=0.25, factor=2.0)
    found = ready.predict(asked)
    flat = jnp.asarray(asked.reshape(len(asked), -1) / 255, jnp.float32)
    logits = network.apply(params, (flat - 0.25) * 2.0)
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(found.labels, np.array(names)[np.argmax(logits, axis=1)])


def test_rows_are_known_by_a_network_of_rows():
    """A missing number is the feature's shift; each feature has its own."""
    rows = load_iris().data.astype(np.float32)
    network = mj.nn.mlp([8], 3)
    params = network.init(jax.random.key(0), rows)
    scale = {"shift": rows.mean(axis=0), "factor": 1 / rows.std(axis=0)}
    names, form = ["setosa", "versicolor", "virginica"], using.RowForm(features=4)
    ready = using.known_classes(network.apply, params, form, names, **scale)
    read = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    wanted = jax.nn.softmax(network.apply(params, read))
    np.testing.assert_allclose(ready.predict(rows).probabilities, wanted, atol=1e-5)
    missing = rows[:1].copy()
    missing[0, 2] = np.nan
    full = np.where(np.isnan(missing), rows.mean(axis=0), missing)
    np.testing.assert_allclose(
        ready.predict(missing).probabilities, ready.predict(full).probabilities, atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"classes": ["a", "b"]}, "classes"),
        ({"classes": "abc"}, "classes"),
        ({"form": using.RowForm()}, "form.features"),
        ({"form": None}, "form"),
        ({"apply": mj.nn.mlp([8], 3)}, "apply"),
    ],
)
def test_a_network_that_does_not_fit_its_classes_is_rejected_by_name(options, field):
    network = mj.nn.mlp([8], 3)
    usual = {"apply": network.apply, "form": FORM, "classes": ["a", "b", "c"]}
    params = network.init(jax.random.key(0), jnp.zeros((1, 64)))
    with pytest.raises(mj.ConfigError) as raised:
        using.known_classes(params=params, **{**usual, **options})
    assert raised.value.field == field
