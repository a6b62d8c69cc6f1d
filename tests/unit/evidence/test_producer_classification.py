"""The classification truth table of the launch artifacts, sentence by sentence."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.read.event_classes import classify

NEITHER = (False, False)
ERROR = (True, False)
ANOMALY = (False, True)
BOTH = (True, True)

TABLE = [
    # every listed type, alone
    *(({"event_type": word}, ERROR) for word in ("order_error", "fill_error", "exchange_error")),
    *(
        ({"event_type": word}, ANOMALY)
        for word in (
            *("rate_limit", "reconnect", "timeout"),
            *("partial_fill", "cancel_replace", "order_reject"),
        )
    ),
    # every listed level, alone
    *(({"level": word}, ERROR) for word in ("error", "fatal", "critical")),
    *(({"level": word}, ANOMALY) for word in ("warning", "warn")),
    # words that are near a listed one but are not it
    *(({"level": word}, NEITHER) for word in ("info", "err", "errors", "warned", "debug", "")),
    *(({"event_type": word}, NEITHER) for word in ("fill", "order", "order_errors", "rate limit")),
    # case does not matter, surrounding blanks neither
    ({"event_type": " Rate_LIMIT\t"}, ANOMALY),
    ({"level": "  FaTaL "}, ERROR),
    ({"is_error": " Yes "}, ERROR),
    # event_type is used unless empty, then type
    ({"event_type": "", "type": "timeout"}, ANOMALY),
    ({"event_type": None, "type": "order_error"}, ERROR),
    ({"event_type": "  ", "type": "timeout"}, ANOMALY),
    ({"type": "reconnect"}, ANOMALY),
    ({"event_type": "fill", "type": "order_error"}, NEITHER),
    # level, then severity, then log_level
    ({"severity": "error"}, ERROR),
    ({"log_level": "warn"}, ANOMALY),
    ({"level": "", "severity": "", "log_level": "critical"}, ERROR),
    ({"level": None, "severity": "warning", "log_level": "error"}, ANOMALY),
    ({"level": "info", "severity": "error", "log_level": "error"}, NEITHER),
    ({"level": "", "severity": "info", "log_level": "error"}, NEITHER),
    # a flag is true for these
    *(({"is_error": flag}, ERROR) for flag in (True, 1, "1", "true", "yes", "y", "t", "TRUE")),
    *(({"is_anomaly": flag}, ANOMALY) for flag in (True, 1, "1", "true", "yes", "y", "t", " T ")),
    # and for nothing else
    *(
        ({"is_error": flag, "is_anomaly": flag}, NEITHER)
        for flag in (False, 0, None, "", "0", "no", "n", "false", "f", 2, "2", "on", [], {}, "oui")
    ),
    # one event may be both
    ({"is_error": True, "is_anomaly": True}, BOTH),
    ({"level": "error", "event_type": "timeout"}, BOTH),
    ({"level": "warn", "event_type": "fill_error"}, BOTH),
    ({"is_error": "t", "level": "warning"}, BOTH),
    # an explicit false flag does not cancel the level or the type
    ({"is_error": False, "level": "error"}, ERROR),
    ({"is_error": "no", "event_type": "exchange_error"}, ERROR),
    ({"is_anomaly": False, "event_type": "timeout"}, ANOMALY),
    ({"is_anomaly": 0, "level": "warning"}, ANOMALY),
    # any field may be absent
    ({}, NEITHER),
    ({"msg": "error", "extra": {"level": "error", "is_error": True}}, NEITHER),
]


@pytest.mark.parametrize(("event", "expected"), TABLE, ids=lambda value: str(value)[:60])
def test_truth_table(event, expected):
    verdict = classify(event)
    assert (verdict.is_error, verdict.is_anomaly) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    ["event_type", "type", "level", "severity", "log_level", "is_error", "is_anomaly", "msg"]
)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(st.dictionaries(FIELDS, ANYTHING, max_size=6))
def test_classification_never_raises_whatever_the_fields_hold(event):
    verdict = classify(event)
    assert {type(verdict.is_error), type(verdict.is_anomaly)} == {bool}


@UNHURRIED
@given(st.dictionaries(FIELDS, ANYTHING, max_size=6), st.sampled_from(["is_error", "is_anomaly"]))
def test_a_flag_can_only_add(event, flag):
    without = classify({key: value for key, value in event.items() if key != flag})
    with_flag = classify(event)
    assert with_flag.is_error >= without.is_error
    assert with_flag.is_anomaly >= without.is_anomaly
