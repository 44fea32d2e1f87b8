"""Odd values, and every way to put one of them into a file that is in order."""

import copy
import json

import yaml

ODD = (
    "null",
    "true",
    "yes",
    "[]",
    "{}",
    "[1, [2]]",
    "[[1], [2, 3]]",
    "{a: {b: 1}}",
    "{1: 2}",
    "''",
    "text",
    "'\\ud800'",
    "-1e-3",
    "1e400",
    ".nan",
    "-.inf",
    "9" * 400,
    "9" * 5000,
    "2024-01-31",
    "!!set {a}",
    "*a",
    "&a 1",
    "[" * 50 + "]" * 50,
    "9**9**9 * x",
    "(" * 300,
    "a" * 5000,
    "--help",
    "'a,b'",
    "[null]",
    "[true]",
    "[{}]",
)
"""YAML of what no field, or few fields, can hold."""


def places(value, path=()):
    """The path of every node of nested lists and mappings."""
    yield path
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else items:
        yield from places(item, (*path, key))


def mutants(text, odd=ODD):
    """A YAML file with each of its nodes replaced by each odd value: path, odd value, file."""
    whole = yaml.safe_load(text)
    for path in places(whole):
        for value in odd:
            changed = {"": copy.deepcopy(whole)}
            at, last = changed, ""
            for key in path:
                at, last = at[last], key
            at[last] = "@@@"
            yield path, value, json.dumps(changed[""]).replace('"@@@"', value)


def damaged(text, rng):
    """A YAML file with something wrong in one place: as text.

    A node is odd, missing or another of the file's nodes, a key has a typing error, or a character
    of the file is missing, twice there or another.
    """
    whole = yaml.safe_load(text)
    kind = rng.integers(6)
    if kind == 0:
        at = int(rng.integers(len(text)))
        put = ["", text[at] * 2, str(rng.choice(list("[]{}:,'\"#&*!|>%@-x0. \n\t")))]
        return text[:at] + put[rng.integers(3)] + text[at + 1 :]
    paths = [path for path in places(whole) if path]
    path = paths[rng.integers(len(paths))]
    at = whole
    for key in path[:-1]:
        at = at[key]
    last = path[-1]
    if kind == 1:
        del at[last]
    elif kind == 2 and isinstance(at, dict):
        at[last[:-1] if rng.integers(2) else last + "x"] = at.pop(last)
    elif kind == 3:
        other = copy.deepcopy(whole)
        for key in paths[rng.integers(len(paths))]:
            other = other[key]
        at[last] = other
    else:
        at[last] = "@@@"
        return json.dumps(whole).replace('"@@@"', str(rng.choice(ODD)))
    return json.dumps(whole)
