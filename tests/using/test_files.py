"""Files of a person: what they hold, and what is said where they hold something else."""

import numpy as np
import pytest

from metajax import using
from metajax.core import ConfigError

FORM = using.ImageForm((4, 4, 1))


def rejected(function, *args, **options):
    with pytest.raises(ConfigError) as raised:
        function(*args, **options)
    return raised.value


def test_arrays_are_read_by_name(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=[1.0, 2.0], more=[3])
    found = using.read_arrays(path, "x", optional=("more", "else"))
    assert {name: array.tolist() for name, array in found.items()} == {"x": [1, 2], "more": [3]}
    assert rejected(using.read_arrays, path, "x").field == "arrays of DATA"
    assert rejected(using.read_arrays, path, "y", optional=("x", "more")).field == "arrays of DATA"
    (tmp_path / "b.npz").write_bytes(b"PK no archive")
    assert "an .npz file" in str(rejected(using.read_arrays, tmp_path / "b.npz", "x"))


def test_queries_are_those_of_an_archive_alone(tmp_path):
    path = tmp_path / "q.npz"
    np.savez(path, queries=np.zeros((2, 4, 4)), condition=3)
    assert using.read_queries(path, None, "condition")["condition"] == 3
    error = rejected(using.read_queries, tmp_path / "q.csv", None, "condition")
    assert "an .npz file of a `condition` and of images `queries`, and no --target" in str(error)
    assert "an .npz file of images `queries`" in str(rejected(using.read_queries, path, "column"))


def test_a_table_has_rows_to_learn_from_and_rows_to_predict(tmp_path):
    path, sequence = tmp_path / "t.csv", FORM._replace(sequence=True)
    path.write_text("a,b,kind\n1,2,u\n3,4,\n5,6,v\n")
    given = using.read_classes(path, sequence, "kind")
    assert given.support[1].tolist() == ["u", "v"] and given.names == ["line 3"]
    assert given.queries.tolist() == [[3, 4]]
    assert rejected(using.read_classes, path, sequence, None).field == "--target"
    # learners of sets of images read no rows
    assert "folder of images" in str(rejected(using.read_classes, path, FORM, "kind"))
    path.write_text("a,b,kind\n1,2,u\n5,6,v\n")
    assert "empty in the rows" in str(rejected(using.read_classes, path, sequence, "kind"))


def test_images_have_no_target_and_other_files_no_classes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, inputs=np.zeros((2, 4, 4)), labels=["u", "v"], queries=np.zeros((3, 4, 4)))
    assert using.read_classes(path, FORM).names == ["0", "1", "2"]
    assert rejected(using.read_classes, path, FORM, "kind").field == "--target"
    assert rejected(using.read_classes, tmp_path / "a.txt", FORM, None).field == "DATA"
