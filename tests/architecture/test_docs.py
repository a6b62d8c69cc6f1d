"""The documents speak of things that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from control.tool.failures import (
    EXIT_FORBIDDEN,
    EXIT_NOT_LATCHED,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_TIMEOUT,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
)
from control.tool.help_lines import SAYINGS
from control.tool.mounted_commands import Tool
from tests.architecture.tree import PACKAGES, ROOT, files, product_modules, text_of

README_LINES_MAX = 160
FILES_OF_OTHERS = {
    "FILE.py",
    "my_bot.py",
    "always_buy.py",
    "hummingbot/connector/exchange/binance/binance_constants.py",
}
"""Files of other programs, which the product names."""
TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
EXIT_CODES = {
    EXIT_OK: "done",
    EXIT_REFUSED: "refused or failed",
    EXIT_USAGE: "wrong command line",
    EXIT_UNREACHABLE: "daemon unreachable",
    EXIT_FORBIDDEN: "forbidden",
    EXIT_TIMEOUT: "no answer in time",
    EXIT_NOT_LATCHED: "stopped but not latched",
}
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md")
PAGES = (*DOCUMENTS, *(name for name in files() if name.endswith("md") and "/" in name))


def make_targets() -> set[str]:
    """Targets that the Makefile defines."""
    lines = text_of("Makefile").splitlines()
    return {m[1] for line in lines if (m := re.match(r"^([a-z][a-z-]*):", line))}


def code_spans(text: str) -> str:
    """Fenced blocks and inline code of a Markdown text: where commands stand."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


def command_lines(text: str) -> list[list[str]]:
    """Words of each `seatrial …` line of a text's shell blocks, up to `--`, `&` or `&&`."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if words and words[0] == ".venv/bin/seatrial":
                    words = words[1 : words.index("--")] if "--" in words else words[1:]
                    found.append([word for word in words if word != "&"])
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_document_exists_and_has_a_title(document: str) -> None:
    assert document in files(), f"{document} is missing"
    assert text_of(document).startswith("# "), f"{document} starts without a title"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_in_it_exists(document: str) -> None:
    text = text_of(document) if document in files() else ""
    unknown = set(TARGET.findall(code_spans(text))) - make_targets()
    assert not unknown, f"{document} names targets that the Makefile lacks: {sorted(unknown)}"


@pytest.mark.parametrize("document", PAGES)
def test_every_relative_link_in_it_leads_somewhere(document: str) -> None:
    text = text_of(document) if document in files() else ""
    here = (ROOT / document).parent
    dead = [link for link in LINK.findall(text) if not (here / Path(link)).exists()]
    assert not dead, f"{document} links to what is not there: {dead}"


def test_the_readme_gives_the_two_commands() -> None:
    commands = set(TARGET.findall(code_spans(text_of("README.md"))))
    assert {"demo", "test"} <= commands


def test_the_readme_names_commands_and_exit_codes_that_exist() -> None:
    text = text_of("README.md")
    named = set(re.findall(r"\bseatrial ([a-z][a-z-]+)", code_spans(text)))
    assert named <= set(SAYINGS), f"no such commands: {sorted(named - set(SAYINGS))}"
    table = {word for row in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
             for word in re.findall(r"`([a-z][a-z-]+)", row)}  # fmt: skip
    assert len(table) > 10
    assert table <= set(SAYINGS), f"no such commands: {sorted(table - set(SAYINGS))}"
    every = set(re.findall(r"^\| `([a-z][a-z-]+)", text_of("docs/COMMANDS.md"), re.MULTILINE))
    assert not set(SAYINGS) - every, "commands that the page of commands lacks"
    _, _, codes = text.partition("Exit codes: ")
    for code, words in EXIT_CODES.items():
        assert f"{code} {words}" in codes.replace("\n", " ")


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= README_LINES_MAX


def test_every_option_that_the_readme_gives_a_command_is_one_of_its_options() -> None:
    given = command_lines(text_of("README.md"))
    assert len(given) > 15
    assert ["demo", "--seconds", "30", "--out-dir", "my-run"] in given
    for words in given:
        command, rest = words[0], words[1:]
        found = Tool().get_command(click.Context(Tool()), command)
        while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
            found, rest = found.get_command(click.Context(found), rest[0]), rest[1:]
        assert found is not None, f"no such command: {words}"
        known = {name for param in found.params for name in param.opts} | {"--help", "--socket"}
        unknown = {word for word in rest if word.startswith("--")} - known
        assert not unknown, f"{' '.join(words)}: {sorted(unknown)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_a_page_runs_is_there(page: str) -> None:
    known = files()
    for module in re.findall(
        r"python3? -m ((?:tests|daemon|evidence|control)[a-z_.]*\w)", text_of(page)
    ):
        path = module.replace(".", "/")
        assert {f"{path}.py", f"{path}/__main__.py"} & set(known), module


def test_every_python_file_that_the_product_speaks_of_exists() -> None:
    known = files()
    gone = [
        f"{name}: {named}"
        for name in product_modules()
        for named in re.findall(r"(?<![\w./{}-])([\w/]+\.py)\b", text_of(name))
        if named not in FILES_OF_OTHERS
        and not any(f"/{path}".endswith(f"/{named}") for path in known)
    ]
    assert not gone, gone


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_names_every_package(package: str) -> None:
    assert re.search(rf"\b{package}\b", text_of("ARCHITECTURE.md"))


def test_every_python_file_that_the_architecture_names_exists() -> None:
    text = text_of("ARCHITECTURE.md")
    named = set(re.findall(r"[\w./]*\w\.py\b", code_spans(text)))
    known = files()
    gone = {n for n in named if not any(f"/{path}".endswith(f"/{n}") for path in known)}
    assert len(named) > 60
    assert not gone, f"ARCHITECTURE.md names what is not there: {sorted(gone)}"
    whole = {path for path in named if path.startswith("tests/")}
    assert whole <= set(known)


def test_every_law_is_numbered_and_names_the_tests_that_hold_it() -> None:
    _, _, rest = text_of("ARCHITECTURE.md").partition("\n## Laws\n")
    laws = re.findall(r"^\*\*(\d+)\. .*?(?=^\*\*\d|^## )", rest, flags=re.MULTILINE | re.DOTALL)
    assert laws == [str(number) for number in range(1, 14)]
    section = rest.partition("\n## ")[0]
    for law in re.split(r"^\*\*\d+\. ", section, flags=re.MULTILINE)[1:]:
        _, _, held = law.partition("*Held by*")
        assert re.search(r"`tests/[\w/]+\.py`", held), law[:60]


def test_the_changelog_keeps_the_agreed_form() -> None:
    text = text_of("CHANGELOG.md")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings, "no version heading"
    assert headings[0] == "[Unreleased]"
    kinds = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
