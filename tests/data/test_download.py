"""TFDS' own builders, really run: download from a local server, extraction, writing, reading."""

import functools
import http.server
import io
import socket
import tarfile
import threading

import numpy as np
import pytest
import requests

import metajax.data as data
from metajax.core import ConfigError


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder from which every download is served, whatever host it is asked of."""
    from tensorflow_datasets.core.download import downloader

    folder = tmp_path / "server"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    local = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=local.serve_forever)
    thread.start()
    open_url, resolve = downloader._open_url, socket.getaddrinfo

    def open_locally(url, **kwargs):
        name = url.rsplit("/", 1)[-1]
        return open_url(f"http://127.0.0.1:{local.server_port}/{name}", **kwargs)

    def resolve_locally(host, *args, **kwargs):
        return resolve("127.0.0.1", *args, **kwargs)

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloader, "_open_url", open_locally)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_locally)
    yield folder
    local.shutdown()
    thread.join()
    local.server_close()


def _register(monkeypatch, builder_class, folder, urls):
    """Make the served files the ones whose checksums TFDS expects."""
    from tensorflow_datasets.core.download import checksums

    infos = {url: checksums.compute_url_info(folder / url.rsplit("/", 1)[-1]) for url in urls}
    monkeypatch.setattr(builder_class, "url_infos", infos)


def _serve_kmnist(folder, monkeypatch, write_idx_folder):
    from tensorflow_datasets.image_classification import mnist

    splits = write_idx_folder(folder)
    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 60)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 20)
    urls = [mnist.KMNIST.URL + path.name for path in folder.iterdir()]
    _register(monkeypatch, mnist.KMNIST, folder, urls)
    return splits


def test_tfds_own_mnist_like_builder(
    tmp_path, server, monkeypatch, write_idx_folder, same_examples
):
    splits = _serve_kmnist(server, monkeypatch, write_idx_folder)
    folder = data.prepare("kmnist", data_dir=tmp_path / "sets")
    assert folder == tmp_path / "sets" / "kmnist" / "3.0.1"
    for split, (images, labels) in splits.items():
        assert same_examples(data.load_images("kmnist", split, tmp_path / "sets"), images, labels)
    batch = next(
        iter(
            data.host_batches(
                "kmnist",
                "test",
                tasks_per_step=2,
                examples_per_task=(10,),
                data_dir=tmp_path / "sets",
            )
        )
    )
    images, labels = splits["test"]
    epoch = data.ImageSet(
        batch["images"].reshape(20, 28, 28, 1), batch["labels"].reshape(20), 10, "", ""
    )
    assert same_examples(epoch, images, labels)


def test_tfds_own_cifar10_builder(tmp_path, server, monkeypatch, same_examples):
    from tensorflow_datasets.image_classification import cifar

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(12) % 10).astype(np.uint8)
    rows = [
        bytes([label]) + image.transpose(2, 0, 1).tobytes()
        for image, label in zip(images, labels, strict=True)
    ]
    files = {f"data_batch_{i + 1}.bin": b"".join(rows[2 * i : 2 * i + 2]) for i in range(5)}
    files["test_batch.bin"] = b"".join(rows[10:])
    files["batches.meta.txt"] = "\n".join(f"class{i}" for i in range(10)).encode()
    with tarfile.open(server / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    _register(monkeypatch, cifar.Cifar10, server, [url])
    data.prepare("cifar10", data_dir=tmp_path / "sets")
    train = data.load_images("cifar10", "train", tmp_path / "sets")
    assert same_examples(train, images[:10], labels[:10]) and train.num_classes == 10


def test_tfds_own_svhn_builder(tmp_path, server, monkeypatch, same_examples):
    import tensorflow_datasets as tfds
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    stored = np.arange(1, 11, dtype=np.uint8)  # the files write the digit 0 as 10
    for split in ("train", "test", "extra"):
        arrays = {"X": images.transpose(1, 2, 3, 0), "y": stored[:, None]}
        savemat(server / f"{split}_32x32.mat", arrays)
    builder_class = tfds.builder_cls("svhn_cropped")
    url = "http://ufldl.stanford.edu/housenumbers/"
    _register(monkeypatch, builder_class, server, [url + p.name for p in server.iterdir()])
    data.prepare("svhn_cropped", data_dir=tmp_path / "sets")
    test = data.load_images("svhn_cropped", "test", tmp_path / "sets")
    assert same_examples(test, images, stored % 10)


def test_a_wrong_checksum_leaves_no_set(tmp_path, server, monkeypatch, write_idx_folder):
    _serve_kmnist(server, monkeypatch, write_idx_folder)
    write_idx_folder(server, train=61)
    with pytest.raises(data.BadDataError, match=r"kmnist.*checksum"):
        data.prepare("kmnist", data_dir=tmp_path / "sets")
    assert not data.prepared("kmnist", tmp_path / "sets")


def test_a_builder_that_fails_midway_leaves_no_set(tmp_path, server, monkeypatch, write_idx_folder):
    from tensorflow_datasets.image_classification import mnist

    _serve_kmnist(server, monkeypatch, write_idx_folder)
    tf = vars(mnist)["tf"]
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 10_000)  # more than there are
    with pytest.raises(ValueError):
        data.prepare("kmnist", data_dir=tmp_path / "sets")
    assert not list((tmp_path / "sets" / "kmnist").glob("*"))
    assert vars(mnist)["tf"] is tf  # what was lent to the builder has been taken back


def test_no_network_is_said_at_once(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(data.MissingDataError) as error:
        data.prepare("kmnist", data_dir=tmp_path)
    assert "codh.rois.ac.jp" in str(error.value)
    assert "metajax data prepare kmnist --from DIR" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_leaves_no_set(tmp_path, server, monkeypatch, write_idx_folder):
    def fail(*args, **kwargs):
        raise requests.exceptions.ConnectionError("connection reset")

    _serve_kmnist(server, monkeypatch, write_idx_folder)
    monkeypatch.setattr(requests.Session, "get", fail)
    with pytest.raises(data.MissingDataError, match="connection reset"):
        data.prepare("kmnist", data_dir=tmp_path / "sets")
    assert not data.prepared("kmnist", tmp_path / "sets")


def test_a_builder_that_needs_more_than_is_installed(
    tmp_path, server, monkeypatch, write_idx_folder
):
    from tensorflow_datasets.image_classification import mnist

    def fail(*args):
        raise ModuleNotFoundError("No module named 'bs4'", name="bs4")

    _serve_kmnist(server, monkeypatch, write_idx_folder)
    monkeypatch.setattr(mnist, "_extract_mnist_images", fail)
    with pytest.raises(data.MissingDataError, match="bs4"):
        data.prepare("kmnist", data_dir=tmp_path / "sets")
    assert not data.prepared("kmnist", tmp_path / "sets")


def test_a_name_in_no_catalogue_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="TFDS' catalog"):
        data.prepare("no_such_set", data_dir=tmp_path)
