"""The generated tables of docs/CONFIG.md and docs/CHECKS.md are the code's.

Write them anew: `python -m tests.architecture.test_readme_tables`.
"""

from pathlib import Path

import pytest

from daemon.model.launch_checks import CHECKS as LAUNCH_CHECKS
from daemon.model.launch_checks import Check
from tests.support.settings_text import settings_table

CONFIG = Path(__file__).resolve().parents[2] / "docs" / "CONFIG.md"
CHECKS = CONFIG.with_name("CHECKS.md")
CHECKS_HEAD = """# What is checked before a session

`seatrial doctor` asks the venue and the machine, step by step; a step that needs one that failed is
left out. `seatrial preflight` asks every precondition of the launch, and its pass lets a testnet
session start. The gates that it looks at are decided by the rules in [artifacts.md](artifacts.md).

Generated (`python -m tests.architecture.test_readme_tables`); a test fails when it is stale.

"""
CONFIG_HEAD = """# Configuration

One TOML file; `seatrial init` writes a first one, `seatrial doctor --config FILE` checks it against
its venue. Unknown keys are refused, every violation is reported at once, and the file's hash binds
evidence to it. Units stand in the names. Secrets never stand here. The caps have a guide of their
own: [deploy/caps/README.md](../deploy/caps/README.md).

Generated (`python -m tests.architecture.test_readme_tables`); a test fails when it is stale.

"""


def checks_text() -> str:
    rows = [
        f"| `{name}` | {words.made_by} | {words.asks}? | {words.mend} |"
        for name, words in LAUNCH_CHECKS.items()
    ]
    table = ["| check | made by | asks | mend |", "|---|---|---|---|", *rows]
    return CHECKS_HEAD + "\n".join(table) + "\n"


def config_text() -> str:
    return CONFIG_HEAD + settings_table().rstrip() + "\n"


def test_the_table_of_settings_is_not_stale() -> None:
    text = CONFIG.read_text()
    assert text == config_text(), "python -m tests.architecture.test_readme_tables"
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows
    assert all(row.rstrip("| ").count("|") >= 4 for row in rows), "a key without words"


def test_the_table_of_checks_is_not_stale_and_every_check_has_its_words() -> None:
    assert CHECKS.read_text() == checks_text(), "python -m " + __name__
    with pytest.raises(KeyError):
        Check("no such check", ok=True, sentence="")
    assert Check("hosts", ok=True, sentence="").mend == ""
    assert Check("hosts", ok=False, sentence="").mend == LAUNCH_CHECKS["hosts"].mend
    assert all(words.mend for name, words in LAUNCH_CHECKS.items() if name != "withdrawal")


if __name__ == "__main__":
    CHECKS.write_text(checks_text())
    CONFIG.write_text(config_text())
