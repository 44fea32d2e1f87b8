"""Texts as windows of codes: which characters have codes, and which character follows."""

import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import character_codes, frequent_characters, load_text, text_windows

TEXT = "to be, or not to be"


def test_an_alphabet_has_the_most_frequent_characters():
    assert frequent_characters(TEXT, 3) == " ot"
    assert frequent_characters(TEXT, 5) == " beot"  # b and e stand there as often
    assert frequent_characters(TEXT, 100) == "".join(sorted(set(TEXT)))


def test_windows_and_what_follows_them_are_the_text():
    alphabet = frequent_characters(TEXT, 5)
    windows, following = text_windows(TEXT, alphabet, 4)
    named = np.array([*alphabet, "?"])
    expected = "".join(one if one in alphabet else "?" for one in TEXT)
    assert len(windows) == len(TEXT) - 4
    for at, (window, after) in enumerate(zip(windows, following, strict=True)):
        assert "".join(named[window]) + named[after] == expected[at : at + 5]
    assert character_codes("x", alphabet).tolist() == [len(alphabet)]


def test_what_is_no_text_is_rejected(tmp_path):
    path = tmp_path / "text"
    for content in (None, b"", b"\xff\xfe\xff"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError) as raised:
            load_text(path)
        assert raised.value.field == "path"
    for wrong, field in (
        (lambda: text_windows("abc", "abc", 3), "text"),
        (lambda: text_windows("abc", "abc", 0), "context"),
        (lambda: frequent_characters("abc", 256), "number"),
    ):
        with pytest.raises(ConfigError) as raised:
            wrong()
        assert raised.value.field == field
