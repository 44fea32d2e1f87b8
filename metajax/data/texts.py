"""Text files as examples: a few characters, and the one that follows."""

from __future__ import annotations

import os
from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from metajax.core import ConfigError, check_sizes, local_path

LARGEST = 255
"""Characters that an alphabet can have: codes are of 8 bits, and one of them stands for others."""


class TextWindows(NamedTuple):
    """Windows of a text, as codes.

    Attributes:
      windows: codes of some characters in a row.
      following: the code of the character that follows.
    """

    windows: UInt8[np.ndarray, "n context"]
    following: Int32[np.ndarray, " n"]


def load_text(path: str | os.PathLike, field: str = "path") -> str:
    """Read a text file in UTF-8.

    Args:
      path: of the file.
      field: what an error calls the path.

    Returns:
      The text, its ends of lines as newlines.

    Raises:
      ConfigError: the file cannot be read, is not in UTF-8 or is empty.
    """
    try:
        text = local_path(path, field).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(field, str(path), f"a text file in UTF-8 ({error})") from error
    if not text:
        raise ConfigError(field, str(path), "a text file that is not empty")
    return text


def frequent_characters(text: str, number: int) -> str:
    """Return the most frequent characters of a text, in the order of their code points.

    Args:
      text: any.
      number: how many, where there are as many. Of equally frequent ones, the first code points.

    Raises:
      ConfigError: the number is below 1 or above 255.
    """
    if not 1 <= number <= LARGEST:
        raise ConfigError("number", number, f"1 to {LARGEST} characters")
    counts = Counter(text)
    kept = sorted(counts, key=lambda character: (-counts[character], character))[:number]
    return "".join(sorted(kept))


def character_codes(text: str, alphabet: str) -> UInt8[np.ndarray, " n"]:
    """Return the place of each character in an alphabet; all others have its length.

    Args:
      text: any.
      alphabet: different characters, at most 255.
    """
    places = {character: place for place, character in enumerate(alphabet)}
    other = len(alphabet)
    return np.fromiter((places.get(one, other) for one in text), np.uint8, len(text))


def text_windows(text: str, alphabet: str, context: int) -> TextWindows:
    """Return all windows of a text, in order, each with the character that follows.

    Args:
      text: of more characters than a window.
      alphabet: see :func:`character_codes`.
      context: characters of a window.

    Returns:
      The windows.

    Raises:
      ConfigError: the context is below 1, or the text is not longer than it.

    Examples:
      >>> from metajax.data import text_windows
      >>> windows, following = text_windows("abcab", "abc", 2)
      >>> windows.tolist(), following.tolist()
      ([[0, 1], [1, 2], [2, 0]], [2, 0, 1])
    """
    check_sizes(context=context)
    if len(text) <= context:
        raise ConfigError("text", f"{len(text)} characters", f"more than the {context} of a window")
    codes = character_codes(text, alphabet)
    windows = np.lib.stride_tricks.sliding_window_view(codes[:-1], context)
    return TextWindows(windows, codes[context:].astype(np.int32))
