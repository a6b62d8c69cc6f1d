"""An order's life from lines that may be damaged."""

from daemon.cli.order_command import life


def test_a_line_of_no_possible_time_is_called_damaged() -> None:
    line = {"event_type": "order_state", "seq": 7, "ts_ns": 10**30,
            "old": "NEW", "new": "FILLED", "why": "x"}  # fmt: skip
    told = list(life("st1", [line, {**line, "seq": 8, "ts_ns": 1_764_493_260_000_000_000}]))
    assert any("this line is damaged" in one and one.split()[0] == "7" for one in told)
    assert any("NEW -> FILLED" in one and "09:01:00.000000" in one for one in told)
