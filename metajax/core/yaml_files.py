"""Strict reading of the YAML files that people write: problems and sweeps.

PyYAML parses; what its events mean is decided here, by YAML 1.2 rather than PyYAML's 1.1:

- ``1e-3`` is a number; ``yes``, ``no``, ``on``, ``off``, dates and ``1:30`` are text;
- whole numbers are decimal, ``010`` is ten, and may have underscores as in Python;
- a key is text and stands once in its mapping;
- there are no tags, anchors, aliases, merge keys or further documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from metajax.core import ConfigError

LARGEST = 2**20
"""Bytes of a file at most."""
DEEPEST = 20
"""Mappings and lists within each other at most."""
FOREIGN_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""How files in other encodings begin; the longer marks come first."""
WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""Unquoted words that are not text."""
DIGITS = r"[0-9]+(_[0-9]+)*"
WHOLE = re.compile(rf"[-+]?{DIGITS}")
REAL = re.compile(rf"[-+]?({DIGITS}\.?|{DIGITS}\.{DIGITS}|\.{DIGITS})([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
NO_TEXT = re.compile("[\\0\\ud800-\\udfff]")
"""The null character and halves of pairs, which neither paths nor arguments can hold."""


class Fault(Exception):
    """What is wrong in a file, and in which line."""


def read_yaml(
    field: str, path: Path, holds: str, *, floats_as_text: bool = False
) -> dict[str, Any]:
    """Read a YAML file whose content is a mapping.

    Args:
      field: what errors call the file.
      path: the file.
      holds: what the mapping is of, for errors.
      floats_as_text: keep numbers with a point or an exponent as they are written.

    Returns:
      Values of None, bool, int, float, str, list and dict with keys of str.

    Raises:
      ConfigError: the file cannot be read, is too large, not UTF-8 or no YAML, or breaks a rule of
        this module; the message names the line.
    """
    text = read_utf8(field, path)
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        content = document(events, floats_as_text)
    except Fault as error:
        raise ConfigError(field, str(path), f"a YAML file ({error})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(field, str(path), f"a YAML file ({line}{error.problem})") from error
    # a character that YAML forbids; an escape sequence beyond Unicode
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(field, str(path), f"a YAML file ({said})") from error
    if not isinstance(content, dict):
        found = "it is empty" if content is None else f"it holds {kind(content)}"
        raise ConfigError(field, str(path), f"a YAML file with {holds}; {found}")
    return content


def read_utf8(field: str, path: Path) -> str:
    """Read a small UTF-8 file, with or without a byte order mark.

    Raises:
      ConfigError: it cannot be read, is too large, or in another encoding.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(field, str(path), f"a readable file ({reason})") from error
    if len(data) > LARGEST:
        raise ConfigError(field, str(path), f"a YAML file of at most {LARGEST:,} bytes")
    for mark, encoding in FOREIGN_MARKS.items():
        if data.startswith(mark):
            raise ConfigError(field, str(path), f"a YAML file in UTF-8, not in {encoding}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = f"byte 0x{data[error.start]:02x}"
        expected = f"a YAML file in UTF-8 (line {line}: {byte} is none of its characters)"
        raise ConfigError(field, str(path), expected) from error


def kind(value: Any) -> str:
    """What a value is, in words."""
    return {dict: "a mapping", list: "a list", str: "text", bool: "a truth value"}.get(
        type(value), "nothing" if value is None else "a number"
    )


def document(events: Iterator[yaml.Event], floats_as_text: bool) -> Any:
    """The value of a stream's only document; None if there is none."""
    found: list[Any] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if found:
                raise fault(event, "a second document begins")
            found.append(node(next(events), events, floats_as_text, 0))
    return found[0] if found else None


def node(event: yaml.Event, events: Iterator[yaml.Event], floats_as_text: bool, depth: int) -> Any:
    """The value that begins with ``event``; takes what belongs to it from ``events``."""
    if isinstance(event, yaml.AliasEvent):
        raise fault(event, "an alias, *name, is not allowed; write the value again")
    if event.anchor is not None:
        raise fault(event, "an anchor, &name, is not allowed")
    if event.tag is not None:
        raise fault(event, f"a tag, here {event.tag}, is not allowed")
    if isinstance(event, yaml.ScalarEvent):
        if NO_TEXT.search(event.value):
            raise fault(event, "an escaped character that no text holds")
        return event.value if event.style else scalar(event, floats_as_text)
    if depth == DEEPEST:
        raise fault(event, f"more than {DEEPEST} lists and mappings within each other")
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(node(item, events, floats_as_text, depth + 1))
        return items
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    while not isinstance(key_event := next(events), yaml.MappingEndEvent):
        key = node(key_event, events, False, depth + 1)
        if not isinstance(key, str):
            shown = repr(key_event.value) if isinstance(key_event, yaml.ScalarEvent) else kind(key)
            raise fault(key_event, f"a key is a name as text, not {shown}; quotes make it one")
        if key in values:
            raise fault(key_event, f"the key {key!r} stands in line {lines[key]} already")
        lines[key] = key_event.start_mark.line + 1
        values[key] = node(next(events), events, floats_as_text, depth + 1)
    return values


def scalar(event: yaml.ScalarEvent, floats_as_text: bool) -> Any:
    """What unquoted text means."""
    text = event.value
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text):
        try:
            return int(text)
        except ValueError as error:  # Python reads up to 4300 digits
            raise fault(event, f"a number of {len(text)} digits") from error
    if REAL.fullmatch(text):
        return text if floats_as_text else float(text)
    if NOT_FINITE.fullmatch(text):
        return text if floats_as_text else float(text.replace(".", ""))
    return text


def fault(event: yaml.Event, what: str) -> Fault:
    """What is wrong where an event begins."""
    return Fault(f"line {event.start_mark.line + 1}: {what}")
