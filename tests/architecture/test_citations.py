"""Every document that the code, the tests and the documents cite is in the repository.

A section is cited as `document.md §n`, where the document is named by enough of its path to be the
only one, and has a heading `## n.`. A bare `§n` speaks of the page that it stands on.
"""

import re
from pathlib import PurePosixPath

import pytest

from evidence.read import event_classes
from tests.architecture.tree import files, listing, text_of

HERE = "tests/architecture/test_citations.py"
PLACES = ("docs", "deploy", "tests", "shared", "runbook", "venues", "caps")
SECTION = re.compile(r"(?:(RFC \d+|[\w./-]*\w\.md),? )?§ ?([\d.]+)((?:,? (?:and )?§ ?\d+)*)")
PLACED = re.compile(rf"(?<![\w/.-])(?:\.\./)*((?:{'|'.join(PLACES)})/(?:[\w.-]+/)*[\w-]+\.md)\b")
HEADING = re.compile(r"^#{2,3} (\d+)\.", re.MULTILINE)
TEXTS = (".py", ".md", ".toml", ".sh", ".yml", ".yaml", ".service", ".in")


def found(document: str, beside: str = "") -> list[str]:
    """The files of the repository that a name may mean; `beside`: the file that names it."""
    near = str(PurePosixPath(beside).parent / document)
    if near in files():
        return [near]
    return [name for name in files() if f"/{name}".endswith(f"/{document}")]


def citation_problems(name: str, text: str) -> list[str]:
    """Citations of one file that lead nowhere, a sentence each."""
    problems = []
    for match in SECTION.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        document, sections = match[1], [match[2].rstrip("."), *re.findall(r"\d+", match[3])]
        if document and document.startswith("RFC"):
            continue
        if document is None and not name.endswith(".md"):
            problems.append(f"{name}:{line}: {match[0]!r} names no document")
            continue
        pages = [name] if document is None else found(document, name)
        if len(pages) != 1:
            problems.append(f"{name}:{line}: {document} is {pages or 'not in the repository'}")
            continue
        lacking = set(sections) - set(HEADING.findall(text_of(pages[0])))
        problems += [f"{name}:{line}: {pages[0]} has no section {one}" for one in sorted(lacking)]
    for match in PLACED.finditer(text):
        if not found(match[1], name):
            line = text.count("\n", 0, match.start()) + 1
            problems.append(f"{name}:{line}: {match[1]} is not in the repository")
    return problems


def test_every_document_and_section_that_is_cited_is_here() -> None:
    problems, sections = [], 0
    for name in files():
        if name.endswith((*TEXTS, "Makefile")) and name != HERE:
            text = text_of(name)
            sections += len(SECTION.findall(text))
            problems += citation_problems(name, text)
    assert sections > 50
    assert not problems, listing(problems)


@pytest.mark.parametrize(
    "text",
    [
        "see binance-spot.md §99",
        "see venues/nowhere.md §1",
        "(§6)",
        "see shared/controls.md",
        "by docs/venues/binance-spot.md §5, §77",
        "by ../shared/performance.md",
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text: str) -> None:
    assert citation_problems("daemon/x.py", text)


@pytest.mark.parametrize(
    "text",
    ["venues/binance-spot.md §5, §11, §13", "RFC 6455 §5.3", "docs/CONTROLS.md", "reports/x.md"],
)
def test_a_good_citation_passes(text: str) -> None:
    assert citation_problems("daemon/x.py", text) == []


def test_the_page_of_artifacts_has_the_words_and_codes_of_the_code() -> None:
    page = text_of("docs/artifacts.md")
    _, _, table = page.partition("| an error |")
    error, anomaly = table.split("\n")[:2]
    for words, row in (
        (event_classes.ERROR_LEVELS | event_classes.ERROR_TYPES, error),
        (event_classes.ANOMALY_TYPES | event_classes.WARNING_LEVELS, anomaly),
    ):
        assert words == set(re.findall(r"[a-z_]+", row.partition("`is_")[2].partition("|")[2]))
    code = "".join(
        text_of(n) for n in files() if n.startswith(("evidence/gates/", "evidence/prod"))
    )
    named = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", page))
    assert len(named) > 25
    assert not [one for one in named if one not in code]
