"""What goes through `gh`: runs, bundle, dashboard; and every way in which it can fail."""

import hashlib
import json

import pytest
from click.testing import CliRunner

from evidence.gates.gate_commands import gate_group
from tests.support import fake_gh
from tests.support.gates import NOW

FRESH = {
    "databaseId": 900,
    "status": "completed",
    "conclusion": "success",
    "createdAt": "2026-01-31T11:00:00Z",
    "event": "schedule",
}


def run_of(number, conclusion="success", status="completed", day=None):
    day = number if day is None else day
    return {
        "databaseId": number,
        "status": status,
        "conclusion": conclusion,
        "createdAt": f"2026-01-{day:02}T11:00:00Z",
        "event": "workflow_dispatch",
    }


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Run a gate command with a recorded `gh` (None: no gh at all) as the only program on PATH."""

    def run(recordings, *arguments):
        folder = tmp_path / "bin"
        if recordings is None:
            folder.mkdir(exist_ok=True)
        else:
            fake_gh.install(folder, recordings)
        monkeypatch.setenv("PATH", str(folder))
        out = ("--out-dir", str(tmp_path / "out"), "--now", NOW)
        return CliRunner().invoke(gate_group, [arguments[0], *out, *arguments[1:]])

    return run


def test_the_stability_gate_asks_gh_where_no_file_is_given(gate, tmp_path):
    done = gate({"run list": {"stdout": json.dumps([FRESH])}}, "stability", "--branch", "trunk")
    assert done.exit_code == 0
    value = json.loads((tmp_path / "out/stability_gate.json").read_text())
    assert [result["run_id"] for result in value["results"]] == [900, 900]
    asked = fake_gh.calls(tmp_path / "bin")
    assert [call[call.index("--workflow") + 1] for call in asked] == [
        result["workflow"] for result in value["results"]
    ]
    for call in asked:
        assert call[call.index("--branch") + 1] == "trunk"
        assert call[call.index("--json") + 1] == "databaseId,status,conclusion,createdAt,event"


@pytest.mark.parametrize(
    ("recordings", "said"),
    [
        (None, "is not on PATH; install it"),
        ({"run list": fake_gh.NOT_LOGGED_IN}, "gh is not logged in; run `gh auth login`"),
        ({"run list": {"exit": 1, "stderr": "could not\nresolve"}}, "with 1: could not resolve"),
        ({"run list": {"stdout": "<html>"}}, "no runs in its answer"),
        ({"run list": {"stdout": '{"message": "x"}'}}, "no runs in its answer"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["stability", "bundle", "fetch-prk-dashboard-artifacts"])
def test_every_failure_of_gh_is_one_clear_line(gate, tmp_path, recordings, said, command):
    done = gate(recordings, command)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert said in done.output
    assert not list(tmp_path.glob("out/*.json"))


# ------------------------------------------------------------------ PR-BJ bundle
def events_of(*lines):
    return {"files": {"testnet_execution_events_jsonl/execution_events.jsonl": "\n".join(lines)}}


def test_the_bundle_joins_successes_in_time_order_and_lists_what_it_left_out(gate, tmp_path):
    runs = [
        run_of(9, conclusion=None, status="in_progress"),
        run_of(8),
        run_of(7, "failure"),
        run_of(6),
        run_of(5, "cancelled"),
        run_of(4),
        run_of(3),
    ]
    recordings = {"run list": {"stdout": json.dumps(runs)}}
    for number in (8, 6, 4):
        recordings[f"run download {number}"] = events_of(f'{{"n":{number}}}', "", '{"x":1}  ')
    done = gate(recordings, "bundle", "--runs", "7", "--take", "3")
    assert done.exit_code == 0
    bundled = (tmp_path / "out/execution_events_bundled.jsonl").read_bytes()
    assert bundled == b'{"n":4}\n{"x":1}\n{"n":6}\n{"x":1}\n{"n":8}\n{"x":1}\n'
    meta = json.loads((tmp_path / "out/bundle_meta.json").read_text())
    assert meta["bundled_run_ids"] == [4, 6, 8]
    assert meta["line_count"] == 6
    extras = meta["seatrial"]
    assert extras["sha256"] == hashlib.sha256(bundled).hexdigest()
    assert {run["databaseId"]: run["why"] for run in extras["left_out"]} == {
        9: "NOT_SUCCESSFUL",
        7: "NOT_SUCCESSFUL",
        5: "NOT_SUCCESSFUL",
        3: "BEYOND_TAKE",
    }
    assert (extras["runs_seen"], extras["runs_failed"]) == (7, 3)
    twin = (tmp_path / "out/bundle_meta.md").read_text()
    assert "run 7 of 2026-01-07T11:00:00Z: NOT_SUCCESSFUL (failure)" in twin


def test_a_success_whose_events_are_gone_makes_the_bundle_incomplete(gate, tmp_path):
    recordings = {
        "run list": {"stdout": json.dumps([run_of(8), run_of(7), run_of(6)])},
        "run download 8": {"exit": 1, "stderr": "no valid artifacts found to download"},
        "run download 7": {"files": {"other.txt": "no events"}},
        "run download 6": events_of('{"n":6}'),
    }
    done = gate(recordings, "bundle")
    assert done.exit_code == 2
    meta = json.loads((tmp_path / "out/bundle_meta.json").read_text())
    assert meta["bundled_run_ids"] == [6]
    assert [run["why"] for run in meta["seatrial"]["left_out"]] == ["EVENTS_MISSING"] * 2
    assert meta["seatrial"]["complete"] is False


def test_no_run_at_all_is_an_incomplete_bundle(gate, tmp_path):
    done = gate({"run list": {"stdout": "[]"}}, "bundle")
    assert done.exit_code == 2
    assert (tmp_path / "out/execution_events_bundled.jsonl").read_bytes() == b""


def test_a_box_without_github_bundles_its_own_history(gate, tmp_path):
    runs = tmp_path / "history.json"
    runs.write_text(json.dumps([run_of(2), run_of(1, "failure")]))
    events = tmp_path / "sessions/2/execution_events.jsonl"
    events.parent.mkdir(parents=True)
    events.write_text('{"event_type":"fill"}\n')
    done = gate(
        None, "bundle", "--runs-json", str(runs), "--events-dir", str(tmp_path / "sessions")
    )
    assert done.exit_code == 0
    assert (tmp_path / "out/execution_events_bundled.jsonl").read_text() == events.read_text()


# ------------------------------------------------------------------ PR-K dashboard
DASHBOARD = {
    "files": {
        "prk/prj_status_latest.json": "{}\n",
        "prk/prj_status_latest.md": "# status\n",
        "prk/prj_health_summary.json": '{"status":"OK"}\n',
        "prk/prj_health_dashboard.html": "<p>ok</p>\n",
        "prk/other.txt": "not copied",
    }
}


def test_the_newest_successful_dashboard_is_fetched(gate, tmp_path):
    runs = [run_of(9, "failure"), run_of(8), run_of(7)]
    recordings = {"run list": {"stdout": json.dumps(runs)}, "run download 8": DASHBOARD}
    latest = tmp_path / "out/latest"
    latest.mkdir(parents=True)
    (latest / "prj_health_summary.md").write_text("from an older run")
    done = gate(recordings, "fetch-prk-dashboard-artifacts")
    assert done.exit_code == 0
    names = sorted(path.name for path in latest.iterdir())
    assert names == [
        "prj_health_dashboard.html",
        "prj_health_summary.json",
        "prj_status_latest.json",
        "prj_status_latest.md",
    ]
    assert (tmp_path / "out/download_20260131T120000Z/prk/other.txt").exists()
    sums = (tmp_path / "out/SHA256SUMS_20260131T120000Z.txt").read_text().splitlines()
    assert [line.split("  ") for line in sums] == [
        [hashlib.sha256((latest / name).read_bytes()).hexdigest(), name] for name in names
    ]
    assert "- run_id: 8" in (tmp_path / "out/SUMMARY_20260131T120000Z.md").read_text()


def test_a_given_run_is_fetched_without_asking_for_the_list(gate, tmp_path):
    done = gate({"run download 55": DASHBOARD}, "fetch-prk-dashboard-artifacts", "--run-id", "55")
    assert done.exit_code == 0
    assert len(fake_gh.calls(tmp_path / "bin")) == 1


@pytest.mark.parametrize(
    ("recordings", "said"),
    [
        ({"run list": {"stdout": json.dumps([run_of(9, "failure")])}}, "no successful run of"),
        (
            {
                "run list": {"stdout": json.dumps([run_of(8)])},
                "run download 8": {"files": {"a": ""}},
            },
            "has no dashboard artifact",
        ),
    ],
)
def test_nothing_to_fetch_is_said(gate, recordings, said):
    done = gate(recordings, "fetch-prk-dashboard-artifacts")
    assert done.exit_code == 1
    assert said in done.output
