import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

import metajax.data as data
from metajax.core import ConfigError


def test_importing_is_cheap():
    code = (
        "import sys, metajax.data; "
        "print([m for m in ('tensorflow_datasets', 'tensorflow', 'grain', 'array_record', "
        "'sklearn', 'PIL') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_digits_hold_what_scikit_learn_holds(digits_dir, same_examples):
    source = load_digits()
    splits = [data.load_images("digits", split, digits_dir) for split in ("train", "test")]
    assert [s.images.shape for s in splits] == [(1442, 8, 8, 1), (355, 8, 8, 1)]
    both = splits[0]._replace(
        images=np.concatenate([s.images for s in splits]),
        labels=np.concatenate([s.labels for s in splits]),
    )
    assert both.images.dtype == np.uint8 and both.labels.dtype == np.int32
    assert both.images.min() == 0 and both.images.max() == 255
    levels = np.rint(source.images * 255 / 16).astype(np.uint8)[..., None]
    assert same_examples(both, levels, source.target)
    # the split is the same share of every class
    shares = np.bincount(splits[1].labels) / np.bincount(source.target)
    assert np.all((shares > 0.19) & (shares <= 0.2))


def test_splits_are_tfds_split_strings(digits_dir):
    whole = data.load_images("digits", "train", digits_dir)
    first = data.load_images("digits", "train[:10%]", digits_dir)
    rest = data.load_images("digits", "train[10%:]", digits_dir)
    assert len(first.labels) == 144
    np.testing.assert_array_equal(np.concatenate([first.images, rest.images]), whole.images)
    assert first.num_classes == 10 and first.split == "train[:10%]"
    # examples were shuffled when the set was written: a slice is not all of one class
    assert len(np.unique(first.labels)) == 10


@pytest.mark.parametrize("split", ["trian", "train[", "train[0:0]"])
def test_a_split_that_does_not_exist_is_refused(digits_dir, split):
    with pytest.raises(ConfigError, match="split"):
        data.load_images("digits", split, digits_dir)


def test_size_and_channels_are_those_asked_for(digits_dir):
    small = data.load_images("digits", "test", digits_dir, size=(4, 4), channels=3)
    assert small.images.shape == (355, 4, 4, 3)


def test_a_missing_set_says_how_to_get_it(tmp_path):
    with pytest.raises(data.MissingDataError) as error:
        data.load_images("kmnist", "train", tmp_path)
    assert f"TFDS_DATA_DIR={tmp_path} metajax data prepare kmnist " in str(error.value)
    assert "metajax data prepare kmnist --from DIR" in str(error.value)
    assert "dataset-fashion-mnist" not in str(error.value)
    with pytest.raises(data.MissingDataError, match="apt-get install dataset-fashion-mnist"):
        data.load_images("fashion_mnist", "train", tmp_path)
    # a TFDS configuration has no files of one's own to be made from
    with pytest.raises(data.MissingDataError) as error:
        data.load_images("emnist/letters", "train", tmp_path)
    assert "--from" not in str(error.value)


@pytest.mark.parametrize("name", ["../mnist", "", "a b", "mnist/"])
def test_a_name_that_could_be_none_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="name"):
        data.prepared(name, tmp_path)


def test_listing_shows_what_is_there_and_what_could_be(tmp_path, write_idx_folder):
    write_idx_folder(tmp_path / "raw")
    data.prepare("scribbles", tmp_path / "raw", tmp_path / "sets")
    # what a killed process leaves behind is not a set
    crashed = tmp_path / "sets" / "letters" / "incomplete.ABCDEF_1.0.0"
    crashed.mkdir(parents=True)
    (crashed / "dataset_info.json").write_text("{}")
    rows = {row.name: row for row in data.list_sets(tmp_path / "sets")}
    assert rows["scribbles"].prepared and rows["scribbles"].splits == {"train": 60, "test": 20}
    assert not rows["mnist"].prepared and rows["mnist"].splits == {}
    assert "letters" not in rows and not data.prepared("letters", tmp_path / "sets")
    assert data.prepared("scribbles", tmp_path / "sets")


def test_a_set_in_tensorflows_own_format_is_named_as_such(tmp_path, write_idx_folder):
    write_idx_folder(tmp_path / "raw")
    folder = data.prepare("scribbles", tmp_path / "raw", tmp_path)
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(data.BadDataError, match="tfrecord"):
        data.load_images("scribbles", "train", tmp_path)


def test_selected_classes_are_relabelled(digits):
    chosen = data.select_classes(digits, [7, 2])
    assert chosen.num_classes == 2
    for label, original in enumerate([7, 2]):
        np.testing.assert_array_equal(
            chosen.images[chosen.labels == label], digits.images[digits.labels == original]
        )
    gaps = digits._replace(num_classes=12)
    assert data.select_classes(gaps).num_classes == 10
    for classes in ([], [1, 1], [10]):
        with pytest.raises(ConfigError, match="classes"):
            data.select_classes(digits, classes)


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_damaged_records_are_said_to_be(tmp_path, write_idx_folder, keep):
    write_idx_folder(tmp_path / "raw")
    folder = data.prepare("scribbles", tmp_path / "raw", tmp_path)
    (records,) = folder.glob("*train*")
    raw = records.read_bytes()
    records.write_bytes(raw[: int(keep * len(raw))])
    with pytest.raises(data.BadDataError, match="damaged"):
        data.load_images("scribbles", "train", tmp_path)
    assert len(data.load_images("scribbles", "test", tmp_path).labels) == 20
