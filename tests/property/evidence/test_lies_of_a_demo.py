"""The liars' suite on a record that no test has made: a real demo of a few seconds.

The ids of its orders carry the heads of its chain, and the liar mints them anew.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evidence.judge.verdict import OK
from evidence.read.venue_list import read_list
from evidence.report.report import Report, build_report
from tests.support.chained_world import chained_again, write_lines
from tests.support.liar_story import LIES, NotHereError, Story
from tests.support.lie_player import UNFIT

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 6
EVERY = 2
"""Every so manyth lie of the suite is told: a demo in `make test` shall not cost more."""
FITTING_MIN = 20


class Recorded:
    """The lines of a demo's journal, and its venue's books."""

    def __init__(self, directory: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "control.main", "demo", "--json", "--seconds", str(SECONDS),
             "--dir", directory],
            cwd=ROOT, capture_output=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        result = json.loads(done.stdout.splitlines()[-1])
        self.ledger = Path(result["ledger"])
        self.lines = [json.loads(line) for line in Path(result["journal"]).read_text().splitlines()]

    def story(self) -> Story:
        lines: list[dict[str, Any]] = json.loads(json.dumps(self.lines))
        for line in lines:
            del line["seq"], line["prev"]
        return Story("demo", lines, json.loads(self.ledger.read_text()))

    def judged(self, story: Story, folder: Path) -> Report:
        """By the record, the books and the venue's list, which are not the liar's."""
        lines = [{"seq": 0, **line, "prev": ""} for line in story.lines]  # as the daemon writes it
        journal = write_lines(folder, chained_again(lines, with_ids=True))
        return build_report([journal], ledger=self.ledger, venue_lists=[read_list(self.ledger)])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("recorded") / "demo")


@pytest.mark.slow
def test_no_lie_of_the_suite_pays_on_a_recorded_demo(demo: Recorded, tmp_path: Path) -> None:
    honest = demo.judged(demo.story(), tmp_path / "honest")
    assert (honest.verdict, honest.reasons) == (OK, [])
    played, paid = 0, []
    for name in sorted(LIES)[::EVERY]:
        told, story = LIES[name], demo.story()
        try:
            told.lie(story)
        except (NotHereError, *UNFIT):
            continue
        if story.lines == demo.story().lines:
            continue  # it is about the venue's books, which are the venue's here
        played += 1
        if demo.judged(story, tmp_path / name).verdict == OK and not told.is_kept:
            paid.append(name)
    assert paid == []
    assert played >= FITTING_MIN
