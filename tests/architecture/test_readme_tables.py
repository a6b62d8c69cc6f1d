"""The generated table of deploy/CONFIG.md is the code's.

Write it anew: `python -m tests.architecture.test_readme_tables`.
"""

from pathlib import Path

from daemon.settings_text import settings_table

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "CONFIG.md"
CONFIG_HEAD = """# Configuration

One TOML file; `seatrial init` writes a first one, `seatrial doctor --config FILE` checks it against
its venue. Unknown keys are refused, every violation is reported at once, and the file's hash binds
evidence to it. Units stand in the names. Secrets never stand here. The caps have a guide of their
own: [caps/README.md](caps/README.md).

Generated (`python -m tests.architecture.test_readme_tables`); a test fails when it is stale.

"""


def config_text() -> str:
    return CONFIG_HEAD + settings_table().rstrip() + "\n"


def test_the_table_of_settings_is_not_stale() -> None:
    text = CONFIG.read_text()
    assert text == config_text(), "python -m tests.architecture.test_readme_tables"
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows
    assert all(row.rstrip("| ").count("|") >= 4 for row in rows), "a key without words"


if __name__ == "__main__":
    CONFIG.write_text(config_text())
