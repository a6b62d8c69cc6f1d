"""The local run history: the gates read it as they read `gh run list`."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from evidence.gates.gate_commands import gate_group
from evidence.gates.run_history import append_run
from evidence.read.json_inputs import MalformedInputError

START = datetime(2026, 1, 31, 11, 0, tzinfo=UTC)


def record(path, conclusion="success", started=START, **more):
    return append_run(
        path,
        workflow="prj-smoke",
        conclusion=conclusion,
        event="schedule",
        started=started,
        ended=started + timedelta(minutes=1),
        **more,
    )


def test_newest_first_and_both_spellings(tmp_path):
    path = tmp_path / "state/prj.json"
    record(path, "failure", START - timedelta(hours=1))
    record(path)
    runs = json.loads(path.read_text())
    assert [(run["databaseId"], run["conclusion"]) for run in runs] == [
        (2, "success"),
        (1, "failure"),
    ]
    for run in runs:
        assert run["createdAt"] == run["created_at"]
        assert run["databaseId"] == run["id"] == run["run_number"]
        assert run["status"] == "completed"


def test_the_history_is_bounded_and_numbers_go_on(tmp_path):
    path = tmp_path / "prj.json"
    for _ in range(5):
        record(path, runs_max=3)
    assert [run["databaseId"] for run in json.loads(path.read_text())] == [5, 4, 3]


def test_a_malformed_history_is_left_alone(tmp_path):
    path = tmp_path / "prj.json"
    path.write_text('[{"databaseId": 1}')
    with pytest.raises(MalformedInputError, match=r"prj\.json: is not JSON"):
        record(path)
    assert path.read_text() == '[{"databaseId": 1}'


def test_writers_at_the_same_time_lose_no_run(tmp_path):
    path = tmp_path / "prj.json"
    threads = [threading.Thread(target=record, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(run["databaseId"] for run in json.loads(path.read_text())) == list(range(1, 9))


def test_both_gates_read_it(bench, tmp_path):
    path = tmp_path / "history.json"
    record(path)
    runs = json.loads(path.read_text())
    gate = bench.run("stability", "stability_gate", prk_runs_json=runs, prj_runs_json=runs)
    status = bench.run("prj-status", "prj_status_latest", input=runs)
    assert gate.value["overall_ok"] is True
    assert status.value["policy"]["action"] == ""
    assert status.value["last_successful_schedule_age_hours"] == 1.0


@pytest.mark.parametrize(
    ("result", "conclusion"),
    [
        ("success", "success"),
        ("timeout", "timed_out"),
        ("watchdog", "timed_out"),
        ("exit-code", "failure"),
        ("oom-kill", "failure"),
        ("anything-new", "failure"),
    ],
)
def test_a_systemd_unit_records_how_it_ended(tmp_path, monkeypatch, result, conclusion):
    path = tmp_path / "prj.json"
    monkeypatch.setenv("SERVICE_RESULT", result)
    done = CliRunner().invoke(
        gate_group, ["record-run", "--history", str(path), "--workflow", "smoke"]
    )
    assert done.exit_code == 0
    assert json.loads(path.read_text())[0]["conclusion"] == conclusion


def test_a_run_that_does_not_say_how_it_ended_is_not_recorded(tmp_path, monkeypatch):
    monkeypatch.delenv("SERVICE_RESULT", raising=False)
    path = tmp_path / "prj.json"
    done = CliRunner().invoke(
        gate_group, ["record-run", "--history", str(path), "--workflow", "smoke"]
    )
    assert done.exit_code == 2
    assert not path.exists()
