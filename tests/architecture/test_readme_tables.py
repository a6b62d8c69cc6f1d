"""The generated tables of README and deploy/CONFIG.md are the code's.

Write it anew: `python -m tests.architecture.test_readme_tables`.
"""

from pathlib import Path

from daemon.settings_text import settings_table
from riskcaps.denials import DenyReason, reasons_table

README = Path(__file__).resolve().parents[2] / "README.md"
CONFIG = README.parent / "deploy" / "CONFIG.md"
CONFIG_HEAD = """# Configuration

One TOML file; `seatrial init` writes a first one, `seatrial doctor --config FILE` checks it against
its venue. Unknown keys are refused, every violation is reported at once, and the file's hash binds
evidence to it. Units stand in the names. Secrets never stand here. The caps have a guide of their
own: [caps/README.md](caps/README.md).

Generated (`python -m tests.architecture.test_readme_tables`); a test fails when it is stale.

"""
BEGIN, END = "<!-- reasons: begin -->", "<!-- reasons: end -->"


def with_table(text: str) -> str:
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{reasons_table().strip()}\n{END}{tail}"


def config_text() -> str:
    return CONFIG_HEAD + settings_table().rstrip() + "\n"


def test_the_table_of_denials_is_not_stale() -> None:
    text = README.read_text()
    assert BEGIN in text
    assert with_table(text) == text, "python -m tests.architecture.test_readme_tables"
    assert all(f"`{reason.value}`" in text for reason in DenyReason)


def test_the_table_of_settings_is_not_stale() -> None:
    text = CONFIG.read_text()
    assert text == config_text(), "python -m tests.architecture.test_readme_tables"
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows
    assert all(row.rstrip("| ").count("|") >= 4 for row in rows), "a key without words"


if __name__ == "__main__":
    CONFIG.write_text(config_text())
    README.write_text(with_table(README.read_text()))
