"""docs/COMMANDS.md is the tool's own help, and the README names no command that is not there."""

import re
from pathlib import Path

from tests.support.commands_page import PAGE, page_text

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_of_commands_is_not_stale() -> None:
    text = page_text()
    assert PAGE.read_text() == text, "python -m tests.support.commands_page"
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert all(row.count(" | ") == 2 and row.split(" | ")[1] for row in rows), "without words"


def test_the_readme_names_commands_that_exist_one_a_row() -> None:
    known = set(re.findall(r"^\| `([^`]+)` \|", page_text(), flags=re.MULTILINE))
    rows = re.findall(r"^\| `([^`]+)` \| .* \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) > 15
    for row in rows:
        name = re.match(r"[a-z-]+( [a-z]+)?", row.split(" --")[0].removesuffix(" ID"))
        assert name, row
        assert name[0].strip() in known, row
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160
