"""What a YAML file means, and that every other file is rejected with its line."""

import random

import pytest

from metajax.core import ConfigError
from metajax.core.yaml_files import DEEPEST, LARGEST, read_yaml


def read(tmp_path, content, **options):
    path = tmp_path / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml("file", path, "names", **options)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-1E+3", -1e3),
        ("1.e2", 100.0),
        (".5", 0.5),
        ("1_000", 1000),
        ("010", 10),
        ("-0", 0),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_", "1_"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("true", True),
        ("'1e-3'", "1e-3"),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("''", ""),
        ("2024-01-31", "2024-01-31"),
        (".inf", float("inf")),
        ("-.Inf", -float("inf")),
        ("[1, [2.0, x]]", [1, [2.0, "x"]]),
        ("{y: 1, n: no}", {"y": 1, "n": "no"}),
        ("|\n  x\n  + y", "x\n+ y\n"),
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path, text, value):
    (found,) = read(tmp_path, f"a: {text}\n").values()
    assert found == value and type(found) is type(value)


def test_numbers_can_be_kept_as_they_are_written(tmp_path):
    found = read(tmp_path, "{a: 1e-3, b: 0.10, c: 3, d: .nan}", floats_as_text=True)
    assert found == {"a": "1e-3", "b": "0.10", "c": 3, "d": ".nan"}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    assert read(tmp_path, "\ufeffä: ö".encode()) == {"ä": "ö"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands in line 1"),
        ("a: {b: 1,\n b: 1}", "line 2: the key 'b'"),
        ("a: 1\n1: 2", "line 2: a key is a name as text, not '1'"),
        ("null: 2", "not 'null'"),
        ("? [a]\n: 1", "not a list"),
        ("a: &b 1", "line 1: an anchor"),
        ("a: 1\nb: *a", "line 2: "),
        ("a: !!float 1", "line 1: a tag"),
        ("a: !!set {b}", "a tag"),
        ("a: !!python/object/apply:os.getcwd []", "a tag"),
        ("a: 1\n---\nb: 1", "line 2: a second document"),
        ("a:\n\t- 1", "line 2: .*t'"),
        ("a: [1", "line 1"),
        ("a: b: c", "line 1"),
        ('a: "\\UFFFFFFFF"', "a YAML file"),
        ("a: \x00", "a YAML file"),
        ("a: " + "9" * 5000, "5000 digits"),
        ("a: " + "[" * 10_000, f"more than {DEEPEST}"),
        ("\n".join(" " * n + "a:" for n in range(500)), f"more than {DEEPEST}"),
        ("a: {" * 500, f"more than {DEEPEST}"),
        ("", "it is empty"),
        ("# nothing", "it is empty"),
        ("---\n...\n", "it is empty"),
        ("[1]", "it holds a list"),
        ("3", "it holds a number"),
        ("true", "it holds a truth value"),
        ("text", "it holds text"),
        (b"a: 1\nb: \xe9", "line 2: byte 0xe9"),
        ("a: 1".encode("utf-16"), "not in UTF-16"),
        ("a: 1".encode("utf-32"), "not in UTF-32"),
        (b"PK\x03\x04\xff\xfe", "UTF-8"),
        (b"#" * (LARGEST + 1), "bytes"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read(tmp_path, content)
    assert caught.value.field == "file" and "\n" not in str(caught.value)


def test_aliases_do_not_multiply(tmp_path):
    """Nine levels of ten aliases would be a thousand million values."""
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)
    ]
    with pytest.raises(ConfigError, match="an anchor"):
        read(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "a\0b", "x" * 300])
def test_paths_that_are_no_file_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="a readable file"):
        read_yaml("file", tmp_path / name, "names")


def test_no_other_error_escapes_from_damaged_files(tmp_path):
    draw = random.Random(0)
    whole = b'a: {b: [1, 2.5e3, "x"], c: {d: null}}\ne:\n  - f: |\n      g\n  - true\n'
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(data))
            data[place : place + draw.randint(0, 3)] = bytes(
                draw.choices(
                    b"[]{}:,&*!|>'\"%@`#-?\t\n \\\x00\x85\xc3\xff01ex", k=draw.randint(0, 3)
                )
            )
        try:
            read(tmp_path, bytes(data))
        except ConfigError:
            refused += 1
    assert 100 < refused < 500
