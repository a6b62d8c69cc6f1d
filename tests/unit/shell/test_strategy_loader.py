"""Strategies from the configuration: built-in, by path, with checked parameters."""

import sys
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from daemon.model.ids import StrategyId
from daemon.settings import StrategySettings
from daemon.shell.strategy_loader import StrategyConfigError, strategy_factory


def settings(class_path: str, **params: object) -> StrategySettings:
    return StrategySettings.model_validate(
        {"class": class_path, "symbols": ["BTCUSDT"], "params": params}
    )


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_strategy.py").write_text(
        dedent("""
        from decimal import Decimal
        class Mine:
            def __init__(self, strategy_id, instruments, *, qty: Decimal, count: int = 3):
                self.strategy_id, self.qty, self.count = strategy_id, qty, count
            def on_start(self, view): return ()
            def on_market(self, view, top): return ()
            def on_report(self, view, report): return ()
        class Lacking:
            pass
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_strategy", None)
    return "my_strategy:Mine"


def test_a_users_own_class_runs_with_typed_parameters(user_module: str) -> None:
    made = strategy_factory("mine", settings(user_module, qty="0.1"))(StrategyId("mine"), {})
    assert made.qty == Decimal("0.1")  # type: ignore[attr-defined]
    assert made.count == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"qty": 0.1}, "a float is not money"),
        ({"qty": "nan"}, "not a finite amount"),
        ({}, "params.qty: missing"),
        ({"qty": "1", "count": "3"}, "params.count"),
        ({"qty": "1", "size": 1}, "params.size: unknown; known: qty, count"),
    ],
)
def test_wrong_parameters_are_named(
    user_module: str, params: dict[str, object], expected: str
) -> None:
    with pytest.raises(StrategyConfigError, match=expected):
        strategy_factory("mine", settings(user_module, **params))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nosuch", "neither built in"),
        ("no.such:Thing", "cannot import"),
        ("my_strategy:Other", "has no class Other"),
        ("my_strategy:Lacking", "lacks on_start"),
    ],
)
def test_a_class_that_is_not_there_is_named(user_module: str, path: str, expected: str) -> None:
    with pytest.raises(StrategyConfigError, match=expected):
        strategy_factory("mine", settings(path))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import nothing_like_it", "cannot import"),
        ("x = 1 / 0", r"ZeroDivisionError: division by zero \(.*broken_one.py:1\)"),
        ("def f(:", "SyntaxError"),
        ("raise SystemError('odd')", "SystemError: odd"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    (tmp_path / "broken_one.py").write_text(text + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_one", raising=False)
    with pytest.raises(StrategyConfigError, match=expected):
        strategy_factory("mine", settings("broken_one:X"))
