"""The documents speak of things that exist."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, ROOT, files, text_of

TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md")


def make_targets() -> set[str]:
    """Targets that the Makefile defines."""
    lines = text_of("Makefile").splitlines()
    return {m[1] for line in lines if (m := re.match(r"^([a-z][a-z-]*):", line))}


def code_spans(text: str) -> str:
    """Fenced blocks and inline code of a Markdown text: where commands stand."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_document_exists_and_has_a_title(document: str) -> None:
    assert document in files(), f"{document} is missing"
    assert text_of(document).startswith("# "), f"{document} starts without a title"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_in_it_exists(document: str) -> None:
    text = text_of(document) if document in files() else ""
    unknown = set(TARGET.findall(code_spans(text))) - make_targets()
    assert not unknown, f"{document} names targets that the Makefile lacks: {sorted(unknown)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_in_it_leads_somewhere(document: str) -> None:
    text = text_of(document) if document in files() else ""
    dead = [link for link in LINK.findall(text) if not (ROOT / Path(link)).exists()]
    assert not dead, f"{document} links to what is not there: {dead}"


def test_the_readme_gives_the_two_commands() -> None:
    commands = set(TARGET.findall(code_spans(text_of("README.md"))))
    assert {"demo", "test"} <= commands


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_names_every_package(package: str) -> None:
    assert re.search(rf"\b{package}\b", text_of("ARCHITECTURE.md"))


def test_the_changelog_keeps_the_agreed_form() -> None:
    text = text_of("CHANGELOG.md")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings, "no version heading"
    assert headings[0] == "[Unreleased]"
    kinds = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
