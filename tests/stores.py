"""A stand-in for a bucket: fsspec's interface over a local folder, with the rules of a store.

Objects are whole or not there, nothing is appended, and a folder is there while an object is in it.
"""

import io
import os
import threading

import fsspec
from etils.epath import backend
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

ROOT = "METAJAX_TEST_STORE"
"""Variable of the environment with the folder, so that processes share a store."""


class Object(io.BytesIO):
    """An object being written: it is there, whole, once it is closed."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def close(self):
        if not self.closed:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            temporary = f"{os.environ[ROOT]}/.{os.getpid()}.{threading.get_ident()}"
            with open(temporary, "wb") as file:
                file.write(self.getvalue())
            os.replace(temporary, self.path)
        super().close()


class LocalStore(DirFileSystem):
    """``gs://bucket/a`` is ``$METAJAX_TEST_STORE/bucket/a``."""

    protocol = ("gcs", "gs")
    cachable = False

    def __init__(self, **_):
        super().__init__(os.environ[ROOT], fs=LocalFileSystem(auto_mkdir=True))

    def _join(self, path):
        if isinstance(path, str):
            return super()._join(path.removeprefix("gs://").rstrip("/"))
        return [self._join(one) for one in path]

    def mkdir(self, path, *args, **options):
        pass

    def makedirs(self, path, exist_ok=False):
        pass

    def open(self, path, mode="rb", **options):
        if "a" in mode or "x" in mode:
            raise NotImplementedError(f"mode {mode}: an object is written whole")
        if mode == "wb":
            return Object(self._join(path))
        return super().open(path, mode, **options)

    def rm(self, path, recursive=False, maxdepth=None):
        super().rm(path, recursive, maxdepth)
        self._drop_empty(path)

    def _drop_empty(self, path):
        folder = os.path.dirname(self._join(path))
        while folder != os.environ[ROOT] and os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def register():
    """Have etils find the store behind ``gs://``."""
    fsspec.register_implementation("gcs", LocalStore, clobber=True)
    backend.fsspec_backend._get_filesystem.cache_clear()


def have_processes_register(folder, monkeypatch):
    """Have the processes that a test starts find the store too, by a module in ``folder``."""
    here = os.path.dirname(__file__)
    with open(folder / "sitecustomize.py", "w") as file:
        file.write(f"import sys; sys.path.insert(0, {here!r}); import stores; stores.register()")
    monkeypatch.setenv("TMPDIR", str(folder))  # where those that are killed leave what they saved
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
