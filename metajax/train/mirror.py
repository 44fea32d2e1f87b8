"""The checkpoints of a store, as far as they lie on this machine.

Orbax can write to some stores by itself, but not to all, nor can it be seen to have finished there
other than by a listing. So it saves to a folder of this machine, which is then sent file by file,
the seal last: what was cut short has no seal, and is passed over like any unfinished checkpoint.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PyTree

from metajax.train.paths import copy_file, copy_folder, files_below


class Mirror:
    """A local folder with some of a store's checkpoints, each in a folder named by its step."""

    def __init__(self, remote: Any, seal: str):
        self.remote, self._seal = remote, seal
        self.local = Path(tempfile.mkdtemp(prefix="metajax-checkpoints-"))

    def fetch(self, step: int) -> Path:
        """Copy what a checkpoint's seal names from the store; its folder here is returned."""
        here, there = self.local / str(step), self.remote / str(step)
        here.mkdir(exist_ok=True)
        if not (there / self._seal).exists():
            return here
        copy_file(there / self._seal, here / self._seal)
        try:
            names = list(json.loads((here / self._seal).read_bytes()))
        except (ValueError, TypeError):
            return here
        for name in names:
            if (there / name).exists():
                copy_file(there / name, here / name)
        return here

    def send(self, step: int) -> None:
        """Copy a checkpoint to the store, its seal last."""
        here, there = self.local / str(step), self.remote / str(step)
        for file in files_below(here):
            if file != here / self._seal:
                copy_file(file, there / file.relative_to(here).as_posix())
        copy_file(here / self._seal, there / self._seal)

    def delete(self, step: int) -> None:
        """Delete a checkpoint in the store, its seal first."""
        there = self.remote / str(step)
        (there / self._seal).unlink(missing_ok=True)
        there.rmtree(missing_ok=True)

    def move(self, step: int, target: Any) -> None:
        """Move a checkpoint within the store, and drop it here."""
        copy_folder(self.remote / str(step), target)
        self.delete(step)
        shutil.rmtree(self.local / str(step), ignore_errors=True)

    def close(self) -> None:
        """Drop the folder on this machine."""
        shutil.rmtree(self.local, ignore_errors=True)


def gathered(tree: PyTree) -> PyTree:
    """A state that several processes hold between them, with a whole copy in each."""

    def whole(leaf: jax.Array) -> jax.Array:
        if leaf.is_fully_replicated or not isinstance(leaf.sharding, NamedSharding):
            return leaf
        everywhere = NamedSharding(leaf.sharding.mesh, PartitionSpec())
        return jax.jit(lambda x: x, out_shardings=everywhere)(leaf)

    return jax.tree.map(whole, tree)


def rekeyed(like: PyTree, restored: PyTree) -> PyTree:
    """What :func:`save_alone` has saved, with the keys of ``like``, of which it keeps the data."""

    def one(want: Any, got: jax.Array) -> jax.Array:
        is_key = [jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in (want, got)]
        if is_key != [True, False]:
            return got
        kinds: list[Any] = []
        jax.eval_shape(lambda key: kinds.append(jax.random.key_impl(key)), want)
        return jax.random.wrap_key_data(got, impl=kinds[0])

    return jax.tree.map(one, like, restored)


def save_alone(directory: Any, step: int, state: PyTree, meta: dict[str, Any]) -> None:
    """Save what ``CheckpointManager.save`` does, in one process of several.

    Args:
      directory: of the checkpoints, on this machine.
      step: of this one.
      state: a state of which this process has a whole copy.
      meta: JSON values.
    """
    import orbax.checkpoint as ocp

    index = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix="alone"
    )
    # by default each process writes a part of what all hold
    arrays = ocp.type_handlers.ArrayHandler(primary_host=index, use_replica_parallel=False)
    handlers = {
        "state": ocp.PyTreeCheckpointHandler(
            multiprocessing_options=alone,
            type_handler_registry=ocp.type_handlers.create_type_handler_registry(
                (jax.Array, arrays)
            ),
        ),
        "meta": ocp.JsonCheckpointHandler(multiprocessing_options=alone),
    }
    options = ocp.CheckpointManagerOptions(
        create=False, multiprocessing_options=alone, enable_async_checkpointing=False
    )
    with ocp.CheckpointManager(directory, options=options, item_handlers=handlers) as manager:
        saved = ocp.args.Composite(state=ocp.args.PyTreeSave(state), meta=ocp.args.JsonSave(meta))
        manager.save(step, args=saved, force=True)
        manager.wait_until_finished()
