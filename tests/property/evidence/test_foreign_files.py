"""Evidence is never kinder than its input: however a file is written, no error of it is lost in
silence (law 6).
"""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.gates.event_producer import build_evidence, produce
from evidence.report.report import read_foreign
from tests.support.foreign_files import WRITERS

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
TYPES = ("fill", "order_error", "exchange_error", "heartbeat", "order_reject")
EVENTS = st.lists(
    st.builds(
        lambda kind, level, flag, msg: {
            "ts": "2026-01-31T10:00:00Z", "mode": "testnet", "event_type": kind, "level": level,
            "is_error": flag, "msg": msg,
        },
        st.sampled_from(TYPES),
        st.sampled_from(("info", "error", "critical", "fatal", "warning")),
        st.booleans(),
        st.sampled_from(("", "a, b", 'a "quoted" word', "two\nlines", "déjà", '": {')),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


def true_errors(events) -> int:
    return sum(
        one["is_error"]
        or one["level"] in {"error", "critical", "fatal"}
        or one["event_type"] in {"order_error", "exchange_error"}
        for one in events
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS)
@pytest.mark.parametrize("name", WRITERS)
def test_no_error_is_lost_in_silence(tmp_path_factory, name, events):
    path_name, content = WRITERS[name](events)
    path = tmp_path_factory.mktemp("foreign") / path_name
    path.write_bytes(content)
    value = build_evidence(path, "auto", NOW)
    extras = value["seatrial"]
    is_told = not extras["understood"]
    assert value["error_count"] >= true_errors(events) or is_told, (name, content)
    if is_told:
        assert extras["counts_as_testnet"] is False
        assert all(one["first"] and one["what"] and one["mend"] for one in extras["not_understood"])
    else:
        assert value["error_count"] == true_errors(events)
    foreign = read_foreign(path)
    assert foreign.errors >= true_errors(events) or foreign.not_understood


ONE = [{"ts": "2026-01-31T10:00:00Z", "mode": "testnet", "event_type": "fill", "level": "critical",
        "is_error": False, "msg": "x"}]  # fmt: skip
UNDERSTOOD = {"plain lines", "plain table", "plain array", "upper case", "utf-8-sig table",
              "utf-8-sig lines", "heading level "}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_the_command_never_says_no_errors_of_what_it_does_not_understand(tmp_path, name):
    path_name, content = WRITERS[name](ONE)
    path = tmp_path / path_name
    path.write_bytes(content)
    done = CliRunner().invoke(produce, ["--out-dir", str(tmp_path), "--input", str(path)])
    value = json.loads((tmp_path / "execution_evidence.json").read_text(encoding="utf-8"))
    assert value["status"] == "OK"  # the launch procedure's word: the input is there
    if value["seatrial"]["understood"]:
        assert done.exit_code == 0
        assert value["error_count"] == 1
        return
    assert name not in UNDERSTOOD
    assert "NOT UNDERSTOOD" in done.output
    assert "0 errors" not in done.output
    assert "OK:" not in done.output
    twin = (tmp_path / "execution_evidence.md").read_text(encoding="utf-8")
    assert "## Not understood" in twin
    is_beyond = value["seatrial"]["beyond_procedure"]
    assert done.exit_code == (2 if is_beyond else 0)


@pytest.mark.parametrize("name", sorted(UNDERSTOOD))
def test_what_is_written_as_the_procedure_asks_is_understood(tmp_path, name):
    path_name, content = WRITERS[name](ONE)
    path = tmp_path / path_name
    path.write_bytes(content)
    value = build_evidence(path, "auto", NOW)
    assert value["seatrial"]["understood"], value["seatrial"]["not_understood"]
    assert value["seatrial"]["counts_as_testnet"]
