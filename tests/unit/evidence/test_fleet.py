"""Many boxes' journals on an engine of real worker processes: the same report to the byte."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import orjson
import pytest

from evidence.read.journal_sources import SourceError
from evidence.report.fleet import LOCAL, dask_engine, find_journal, fleet_report
from evidence.report.report import build_report
from tests.support.journal_maker import whole_story, write_journal


@pytest.fixture
def boxes(tmp_path):
    """Three boxes' journals: clean, damaged, and in one segment; one has an anchor."""
    made = []
    for number, instance in enumerate(["boxaaa", "boxbbb", "boxccc"]):
        lines = whole_story(number, orders=20, sessions=2, instance=instance).lines()
        if number == 1:
            lines[30] = b"{garbled"
            del lines[90]
        home = tmp_path / instance
        segment_lines = 0 if number == 2 else len(lines) // 5
        made.append(write_journal(home, lines, segment_lines=segment_lines))
        if number == 0:
            head = {"seq": 50, "head": json.loads(lines[50])["prev"]}
            (home / "anchors.jsonl").write_text(json.dumps(head) + "\n")
    return made


def as_bytes(report):
    return orjson.dumps(report.to_json())


def test_worker_processes_give_what_one_process_gives(boxes):
    pytest.importorskip("fsspec", reason="the fleet extra is not installed")
    urls = [path.as_uri() for path in boxes]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        report = fleet_report(urls, pool, part_bytes=60_000)
    assert as_bytes(report) == as_bytes(build_report(boxes))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the engine's own deprecations are not ours to mend
def test_a_local_dask_cluster_gives_what_one_process_gives(boxes):
    pytest.importorskip("dask.distributed", reason="the fleet extra is not installed")
    urls = [path.as_uri() for path in boxes]
    with dask_engine(LOCAL, 2) as engine:
        report = fleet_report(urls, engine, part_bytes=60_000)
    assert as_bytes(report) == as_bytes(build_report(boxes))


def test_an_address_without_a_journal_is_one_clear_line(tmp_path):
    pytest.importorskip("fsspec", reason="the fleet extra is not installed")
    with pytest.raises(SourceError, match="holds no journal"):
        find_journal(tmp_path.as_uri())
    with pytest.raises(SourceError, match="nowhere"):
        find_journal((tmp_path / "nowhere").as_uri())


def test_without_the_extra_the_error_names_the_mend(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(SourceError, match=r"pip install 'seatrial\[fleet\]'"):
        find_journal(tmp_path.as_uri())
