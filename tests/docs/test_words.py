"""Words of the pages and docstrings: those that must not return, one spelling, short sentences."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def files(folder, kind):
    return sorted((ROOT / folder).rglob(kind))


PAGES = [
    *(
        page
        for folder in ("docs", "experiments", "metajax", "benchmarks")
        for page in files(folder, "*.md")
    ),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]
MODULES = files("metajax", "*.py")

ODD = r"beside|besides|anew|go on|goes on|going on|refus(?:e|es|ed|al|als|ing)|aloud"
"""Words that a reader reads twice; the usual ones are compared with, again, resume, rejected."""
ENDS = r"ise|ised|iser|isers|ises|ising|isation|isations|isable"
BRITISH = (
    rf"\w+(?:al|am|ar|at|er|if|im|in|it|ic|or|os|ct|ym|il|gn|mn|ph|et|mor|ster)(?:{ENDS})"
    r"|(?:un)?labell\w+|behaviour\w*|colour\w*|neighbour\w*|favour\w*|centres?|centred|grey"
    r"|catalogues?|licences?|model(?:led|ling)|signalled|analys(?:e|ed|ing)|artefacts?|learnt"
)
SPELLED_SO = re.compile(
    r"(?:exerc|prec|prom|surpr|conc|adv|dev|rev|superv|unsuperv|compr|otherw|likew|parad)\w+"
    r"|\w*wise|arising|raising",
    re.IGNORECASE,
)
WORDS = re.compile(rf"(?<![\w./_-])(?:{ODD}|{BRITISH})(?![\w_(=/:])(?!\.(?:md|py|html))", re.I)
CODE = re.compile(
    r"<!-- table .*?<!-- end -->|^\s*```.*?^\s*```|``[^`]*``|`[^`]*`|\]\([^)]*\)|https?://\S+"
    r"|^\s*(?:>>>|\.\.\.).*?$|^\s*\|.*?$|^ {8,}.*?$",
    re.MULTILINE | re.DOTALL,
)
LONGEST = 38
"""Words of a sentence of a docstring, at most."""


def plain(text):
    """The prose of a text, line by line: code, tables and links are blank."""
    return CODE.sub(lambda found: "\n" * found[0].count("\n"), text)


def odd_words(text):
    found = {match[0] for match in WORDS.finditer(plain(text))}
    return {word for word in found if not SPELLED_SO.fullmatch(word)}


def docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            said := ast.get_docstring(node)
        ):
            yield said


def comments(text):
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def messages(tree):
    """Constants that are sentences: helps and errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_the_usual_words(page):
    assert not odd_words(page.read_text())


def test_docstrings_comments_and_messages_have_the_usual_words():
    found = {}
    for path in MODULES:
        text = path.read_text()
        tree = ast.parse(text)
        said = [*docstrings(tree), *comments(text), *messages(tree)]
        if words := set().union(*map(odd_words, said)):
            found[str(path.relative_to(ROOT))] = words
    assert not found


ENTRIES = re.compile(r"\n\s*\n|\n\s*(?=\*{0,2}\w+: )|\n\s*(?=- )|(?<=[.!?:])\s+(?=[A-Z`*(:])|;\s")
"""What ends a sentence: a full stop, a semicolon, a colon before a sentence, an argument's name."""
SHOWN = re.compile(r"^\s*(?:>>>|\.\.\.|\|).*?$|^ {4,}.*\S {2,}\S.*?$", re.MULTILINE)
"""Lines of examples, tables and formulas."""


def test_sentences_of_docstrings_are_short():
    found = [
        " ".join(sentence.split())
        for path in MODULES
        for said in docstrings(ast.parse(path.read_text()))
        for sentence in ENTRIES.split(SHOWN.sub("\n\n", said))
        if len(sentence.split()) > LONGEST
    ]
    assert not found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is refused, and compared with `refused` and ``colour``.", {"refused"}),
        ("The optimiser minimises; otherwise precise noise rises.", {"optimiser", "minimises"}),
        ("A labelled neighbour\n\n```\nbesides\n```\n", {"labelled", "neighbour"}),
        ("      centre: kept as it is, by [grey](grey.md)", {"grey"}),
        ("A piecewise, supervised promise.", set()),
    ],
)
def test_the_words_are_found_in_prose_alone(text, words):
    assert odd_words(text) == words
