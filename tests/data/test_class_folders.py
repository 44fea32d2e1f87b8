"""Folders of images: what is a class becomes one, and what is left out is named."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from PIL import Image

import metajax.data as data
from metajax.data.class_folders import IMAGE_SUFFIXES, read_class_folders


def image_file(path, level=100, size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)
    return path


def labels_of(raw):
    return {
        split: sorted((int(image[0, 0, 0]), raw.class_names[label]) for image, label in pairs)
        for split, pairs in raw.splits.items()
    }


def test_linked_folders_are_classes_and_a_circle_of_links_ends(tmp_path, caplog):
    image_file(tmp_path / "set" / "a" / "0.png", 10)
    image_file(tmp_path / "elsewhere" / "0.png", 20)
    (tmp_path / "set" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set")
    raw = read_class_folders(tmp_path / "set")
    assert labels_of(raw) == {"train": [(10, "a"), (20, "b")]}
    assert "a/up" in caplog.text


def test_hidden_folders_are_no_classes_and_are_named(tmp_path, caplog):
    image_file(tmp_path / "a" / "0.png")
    image_file(tmp_path / "a" / ".ipynb_checkpoints" / "0-checkpoint.png")
    image_file(tmp_path / ".cache" / "0.png")
    image_file(tmp_path / "a" / "._0.png")
    raw = read_class_folders(tmp_path)
    assert raw.class_names == ("a",) and len(labels_of(raw)["train"]) == 1
    assert ".ipynb_checkpoints" in caplog.text and ".cache" in caplog.text


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".gif", ".tif", ".PGM", ".jfif", ".tga"])
def test_every_usual_kind_of_file_is_an_image(tmp_path, suffix):
    image_file(tmp_path / "a" / "0.png")
    image_file(tmp_path / "b" / f"0{suffix}")
    raw = read_class_folders(tmp_path)
    assert [name for _, name in labels_of(raw)["train"]] == ["a", "b"]


def test_every_suffix_is_one_that_pillow_opens():
    known = Image.registered_extensions()
    assert not [s for s in IMAGE_SUFFIXES if known.get(s) not in Image.OPEN and s != ".avif"]


def test_a_folder_of_other_files_is_named(tmp_path, caplog):
    image_file(tmp_path / "a" / "0.png")
    (tmp_path / "photos").mkdir()
    for i in range(3):
        (tmp_path / "photos" / f"{i}.heic").write_bytes(b"\0")
    (tmp_path / "empty").mkdir()
    image_file(tmp_path / "loose.png")
    assert read_class_folders(tmp_path).class_names == ("a",)
    assert "3 .heic" in caplog.text and "photos" in caplog.text
    assert "empty (no images)" in caplog.text and "loose.png" in caplog.text


@pytest.mark.parametrize("name", ["val", "Validation", "dev"])
def test_a_validation_folder_is_a_split(tmp_path, caplog, name):
    for level, split in enumerate(("train", name, "test")):
        image_file(tmp_path / split / "cat" / "0.png", level)
    image_file(tmp_path / "unlabeled" / "0.png")
    raw = read_class_folders(tmp_path)
    assert labels_of(raw) == {
        "train": [(0, "cat")],
        "validation": [(1, "cat")],
        "test": [(2, "cat")],
    }
    assert "unlabeled" in caplog.text
    data.prepare("cats", tmp_path, tmp_path / "sets")
    assert data.load_images("cats", "validation", tmp_path / "sets").images.flat[0] == 1


def test_two_folders_of_one_split_are_refused(tmp_path):
    for split in ("train", "val", "validation"):
        image_file(tmp_path / split / "cat" / "0.png")
    with pytest.raises(data.BadDataError, match="both the split 'validation'"):
        read_class_folders(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "train"):
        image_file(tmp_path / name / "0.png")
    raw = read_class_folders(tmp_path)
    assert raw.class_names == ("bus", "train") and list(raw.splits) == ["train"]


def test_names_in_either_unicode_form_are_one_class(tmp_path):
    """macOS writes é as two characters, other systems as one."""
    composed = unicodedata.normalize("NFC", "café")
    image_file(tmp_path / "train" / composed / "0.png", 1)
    image_file(tmp_path / "test" / unicodedata.normalize("NFD", "café") / "0.png", 2)
    raw = read_class_folders(tmp_path)
    assert labels_of(raw) == {"train": [(1, composed)], "test": [(2, composed)]}


@pytest.mark.parametrize("name", ["a\nb", " a", "a ", b"\xff".decode(errors="surrogateescape")])
def test_a_name_that_the_set_could_not_keep_is_refused(tmp_path, name):
    image_file(tmp_path / "a" / "0.png")
    image_file(tmp_path / name / "0.png")
    with pytest.raises(data.BadDataError, match="class folder"):
        read_class_folders(tmp_path)


def test_a_picture_above_pillows_limit_is_named(tmp_path, monkeypatch):
    image_file(tmp_path / "a" / "0.png", size=(30, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert len(labels_of(read_class_folders(tmp_path))["train"]) == 1  # Pillow would only warn
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(data.BadDataError, match=r"0\.png .*exceeds limit"):
        read_class_folders(tmp_path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged TIFF files
def test_every_damage_to_a_file_names_it(tmp_path):
    """Cut off at every length, and with bytes turned over: Pillow raises many kinds of errors."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for suffix in ("png", "webp", "gif", "tif", "bmp", "tga", "jpg"):
        path = tmp_path / "a" / f"0.{suffix}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise).save(path)
        whole = path.read_bytes()
        flips = np.random.default_rng(1).integers(0, min(len(whole), 200), 60)
        damaged = [whole[:length] for length in range(0, len(whole), 1 + len(whole) // 60)]
        damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in flips]
        refused = 0
        for some in damaged:
            path.write_bytes(some)
            try:
                list(read_class_folders(tmp_path).splits["train"])
            except data.BadDataError as error:
                assert str(path) in str(error)
                refused += 1
        assert refused > 10
        path.unlink()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("ink, ground", [(0, 255), (255, 0)])
def test_ink_on_a_transparent_ground_can_be_seen(tmp_path, mode, ink, ground, channels):
    """Black ink on white, as viewers draw it; white ink on black, or nothing would be left."""
    from metajax.data.pixels import decode_image

    alpha = np.zeros((6, 6), np.uint8)
    alpha[2:4, 1:5] = 255
    # the color of transparent pixels is the ink's, too: dropping transparency leaves one level
    layer = Image.fromarray(np.dstack([np.full((6, 6, 3), ink, np.uint8), alpha]))
    path = tmp_path / "0.png"
    layer.convert(mode).save(path)
    expected = np.where(alpha > 0, ink, ground)
    np.testing.assert_array_equal(
        decode_image(path, channels), np.repeat(expected[..., None], channels, -1)
    )


def test_images_directly_in_a_folder_are_read_by_name_in_one_size(tmp_path):
    image_file(tmp_path / "b.png", 200, (8, 6))
    image_file(tmp_path / "a.png", 100)
    image_file(tmp_path / "within" / "c.png")
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    images, names = data.read_image_folder(tmp_path, (4, 4), 1)
    assert names == ["a.png", "b.png"] and images[:, 0, 0, 0].tolist() == [100, 200]
    assert data.read_image_folder(tmp_path / "within" / "..", (2, 3), 3)[0].shape == (2, 2, 3, 3)
    (tmp_path / "none").mkdir()
    assert data.read_image_folder(tmp_path / "none", (4, 4), 1)[1] == []
