"""docs/COMMANDS.md is the tool's own help."""

from tests.support.commands_page import PAGE, page_text


def test_the_page_of_commands_is_not_stale() -> None:
    text = page_text()
    assert PAGE.read_text() == text, "python -m tests.support.commands_page"
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert all(row.count(" | ") == 2 and row.split(" | ")[1] for row in rows), "without words"
