"""Reading caps: every mistake at once, each with its mend; tightening, never loosening."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.settings_bots import BotSettings
from evidence.read.exact_amounts import AmountTextError, amount_of_text
from riskcaps.words.cap_values import window_minutes
from riskcaps.words.capset import (
    PORTFOLIO_CAPS,
    SYMBOL_CAPS,
    CapConfigError,
    CapSet,
    SymbolCaps,
    capset_from_mapping,
)
from tests.unit.riskcaps.kit import CAPS, SYMBOL, caps_of, symbol_caps

PRESETS = Path(__file__).parents[3] / "deploy" / "caps"


def problems(data: Any, *, strict: bool = True) -> dict[str, str]:
    with pytest.raises(CapConfigError) as caught:
        capset_from_mapping(data, strict=strict)
    assert all(v.mend for v in caught.value.violations)
    return {v.key: v.problem for v in caught.value.violations}


def test_the_tables_of_caps_and_the_frozen_values_name_the_same_keys() -> None:
    assert set(SYMBOL_CAPS) == set(SymbolCaps.__struct_fields__)
    assert set(PORTFOLIO_CAPS) | {"symbols", "bots"} == set(CapSet.__struct_fields__)


def test_every_violation_is_reported_at_once_with_its_key() -> None:
    data = caps_of(
        symbols={
            "btcusdt": symbol_caps(),
            "ETHUSDT": symbol_caps(order_qty_base_max=0.5, sides=["UP"], order_qty_max="1"),
            "BNBUSDT": "all",
        },
        orders_per_hour_max="many",
        orders_per_day_max=-1,
        orders_per_minute_max=2.5,
        orders_per_second_max=True,
        drawdown_numeraire_max="NaN",
        loss_day_numeraire_max="-1",
        loss_day_action="panic",
        numeraire="usdt",
        conversions={"BTC": []},
        balance_free_min=5,
        max_orders_per_hour=7,
        exposure_net_numeraire_max="1e40",
    )
    assert set(problems(data)) == {
        "symbols.btcusdt", "symbols.ETHUSDT.order_qty_base_max", "symbols.ETHUSDT.sides",
        "symbols.ETHUSDT.order_qty_max", "symbols.BNBUSDT", "orders_per_hour_max",
        "orders_per_day_max", "orders_per_minute_max", "orders_per_second_max",
        "drawdown_numeraire_max", "loss_day_numeraire_max", "loss_day_action", "numeraire",
        "conversions", "balance_free_min", "max_orders_per_hour", "exposure_net_numeraire_max",
    }  # fmt: skip


def test_a_float_is_told_to_be_written_as_text() -> None:
    with pytest.raises(CapConfigError, match=r'write it as text: "0\.5"'):
        capset_from_mapping(caps_of(drawdown_numeraire_max=0.5))


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(CapConfigError, match="did you mean orders_per_hour_max"):
        capset_from_mapping(caps_of(max_orders_per_hour=1))
    with pytest.raises(CapConfigError, match="remove it"):
        capset_from_mapping(caps_of(zzz=1))


@pytest.mark.parametrize("data", [None, [], "caps", {"symbols": []}])
def test_what_is_no_table_is_refused(data: Any) -> None:
    assert problems(data)


@pytest.mark.parametrize("amount", ["0_5", "1_000", "\N{ARABIC-INDIC DIGIT ONE}", "1\u00a0", "NaN"])
def test_what_python_alone_would_read_as_a_number_is_no_amount(amount: str) -> None:
    """`0_5` is 5 to Python, ten times what was meant. The accountant reads as the daemon does."""
    assert "drawdown_numeraire_max" in problems(caps_of(drawdown_numeraire_max=amount))
    with pytest.raises(ValidationError, match="is no amount"):
        BotSettings(symbols=("BTCUSDT",), capital={"USDT": amount})
    with pytest.raises(AmountTextError):
        amount_of_text(amount)


def test_amounts_are_exact_and_may_be_text_or_whole() -> None:
    caps = capset_from_mapping(caps_of(drawdown_numeraire_max="0.10", loss_day_numeraire_max=7))
    assert caps.drawdown_numeraire_max == Decimal("0.1")
    assert caps.loss_day_numeraire_max == 7
    assert capset_from_mapping(caps_of(orders_per_hour_max="12")).orders_per_hour_max == 12


def test_unlimited_must_be_said_in_words_and_strict_mode_refuses_it() -> None:
    data = caps_of(drawdown_numeraire_max="unlimited", orders_per_day_max="unlimited")
    assert set(problems(data)) == {"drawdown_numeraire_max", "orders_per_day_max"}
    caps = capset_from_mapping(data, strict=False)
    assert caps.to_plain()["drawdown_numeraire_max"] == "unlimited"
    assert caps.to_plain()["orders_per_day_max"] == "unlimited"
    assert capset_from_mapping(caps.to_plain(), strict=False) == caps
    assert problems(caps_of(duplicate_window_ms="unlimited"), strict=False)


def test_the_plain_form_reads_back_and_the_hash_depends_on_values_only() -> None:
    caps = capset_from_mapping(caps_of())
    assert capset_from_mapping(caps.to_plain()) == caps
    shuffled = dict(reversed(list(caps_of().items())))
    assert capset_from_mapping(shuffled).hash == caps.hash
    assert capset_from_mapping(caps_of(drawdown_numeraire_max="60.00")).hash == caps.hash
    assert capset_from_mapping(caps_of(drawdown_numeraire_max="60.01")).hash != caps.hash
    assert len(caps.hash) == 64


def test_what_is_unset_is_named() -> None:
    assert CapSet().unset()[0] == "numeraire"
    assert capset_from_mapping(caps_of()).unset() == ()
    assert capset_from_mapping(caps_of(loss_day_numeraire_max=None)).unset() == (
        "loss_day_numeraire_max",
    )
    assert SymbolCaps().unset() == (
        "collar_bps_max", "market_slippage_bps", "market_data_age_ms_max",
    )  # fmt: skip


def test_caps_are_found_by_the_full_id_before_the_bare_symbol() -> None:
    caps = capset_from_mapping(
        caps_of(symbols={"BTCUSDT": symbol_caps(), "BTCUSDT@demo": symbol_caps(orders_open_max=1)})
    )
    for name, expected in (("BTCUSDT@demo", 1), ("BTCUSDT@sim", SYMBOL["orders_open_max"])):
        found = caps.for_instrument(name)
        assert found is not None
        assert found.orders_open_max == expected
    assert caps.for_instrument("ETHUSDT@sim") is None


WINDOWS = [
    (["00:00-24:00"], 7 * 1440),
    (["Mon 00:00-00:01"], 1),
    (["Mon-Fri 07:00-21:30"], 5 * (14 * 60 + 30)),
    (["Mon-Tue 10:00-12:00", "Tue 11:00-13:00"], 2 * 120 + 60),
]


@pytest.mark.parametrize(("windows", "minutes"), WINDOWS)
def test_windows_are_merged_ranges_of_the_week(windows: list[str], minutes: int) -> None:
    caps = capset_from_mapping(
        caps_of(symbols={"BTCUSDT": symbol_caps(trading_windows_utc=windows)})
    )
    ranges = window_minutes(caps.symbols["BTCUSDT"].trading_windows_utc)
    assert sum(end - start for start, end in ranges) == minutes
    assert all(0 <= start < end <= 7 * 1440 for start, end in ranges)


@pytest.mark.parametrize(
    "window",
    ["", "always", "22:00-06:00", "10:00-10:00", "Fri-Mon 10:00-11:00", "Mun 10:00-11:00",
     "00:00-24:01", "24:00-24:30", "1:00-2:00", "10:60-11:00", "10:00-25:00"],
)  # fmt: skip
def test_a_window_that_is_none_is_refused(window: str) -> None:
    data = caps_of(symbols={"BTCUSDT": symbol_caps(trading_windows_utc=[window])})
    assert "symbols.BTCUSDT.trading_windows_utc" in problems(data)


STRICTER: list[tuple[str, Any]] = [
    ("orders_per_hour_max", 999),
    ("drawdown_numeraire_max", "59.99"),
    ("drawdown_numeraire_max", "0"),
    ("messages_per_second_cancel_reserve", 41),
    ("duplicate_window_ms", 2),
    ("loss_day_action", "halt_and_flatten"),
    ("balance_free_min", {"USDT": "11", "BTC": "1"}),
    ("symbols.BTCUSDT.sides", ["SELL"]),
    ("symbols.BTCUSDT.order_types", []),
    ("symbols.BTCUSDT.market_slippage_bps", 51),
    ("symbols.BTCUSDT.trading_windows_utc", ["Tue-Wed 03:00-04:00"]),
    ("symbols.BTCUSDT.collar_reference", "mid"),
]
LOOSER: list[tuple[str, Any]] = [
    ("orders_per_hour_max", 1001),
    ("drawdown_numeraire_max", "60.01"),
    ("messages_per_second_cancel_reserve", 39),
    ("duplicate_window_ms", 0),
    ("loss_day_action", "deny"),
    ("balance_free_min", {"USDT": "9"}),
    ("balance_free_min", {"BTC": "9"}),
    ("numeraire", "BTC"),
    ("reduce_oversized", "cut"),
    ("symbols.BTCUSDT.times_in_force", ["GTC", "FOK"]),
    ("symbols.BTCUSDT.market_slippage_bps", 49),
    ("symbols.BTCUSDT.trading_windows_utc", ["Sat 03:00-04:00"]),
    ("symbols.BTCUSDT.trading_windows_utc", ["Fri-Sat 03:00-04:00"]),
    ("symbols.BTCUSDT.collar_reference", "last"),
    ("symbols.ETHUSDT.sides", ["SELL"]),
    ("no_such_cap", 1),
    ("drawdown_numeraire_max", "unlimited"),
    ("drawdown_numeraire_max", 1.5),
]


@pytest.mark.parametrize(("key", "value"), STRICTER)
def test_stricter_values_are_taken(key: str, value: Any) -> None:
    before = capset_from_mapping(caps_of())
    after = before.tighten({key: value})
    assert (after == before) == (key.endswith("collar_reference"))
    assert capset_from_mapping(after.to_plain()) == after


@pytest.mark.parametrize(("key", "value"), LOOSER)
def test_anything_else_is_refused(key: str, value: Any) -> None:
    with pytest.raises(CapConfigError) as caught:
        capset_from_mapping(caps_of()).tighten({key: value, "orders_per_day_max": 1})
    assert [v.key for v in caught.value.violations] == [key]


def test_loosening_names_the_config_and_the_restart() -> None:
    with pytest.raises(CapConfigError, match="config file and a restart"):
        capset_from_mapping(caps_of()).tighten({"orders_per_hour_max": 10_000})


def test_a_set_of_caps_cannot_be_changed_in_place() -> None:
    caps = capset_from_mapping(caps_of())
    with pytest.raises(AttributeError):
        caps.orders_per_hour_max = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        caps.symbols["BTCUSDT"] = SymbolCaps()  # type: ignore[index]


@pytest.mark.parametrize("name", ["testnet-strict", "live-pilot", "tiny"])
def test_presets_are_strict_complete_and_commented(name: str) -> None:
    text = (PRESETS / f"{name}.toml").read_text()
    caps = capset_from_mapping(tomllib.loads(text)["caps"])
    assert caps.unset() == ()
    assert caps.symbols
    for symbol, values in caps.symbols.items():
        assert values.unset() == (), symbol
        assert values.exposure_quote_max >= values.order_notional_quote_max, symbol
    assert text.count("#") > 20
    assert set(tomllib.loads(text)["caps"]) - {"symbols"} <= set(CAPS) | set(PORTFOLIO_CAPS)


def test_the_pilot_is_smaller_than_the_testnet() -> None:
    sets = {
        name: capset_from_mapping(tomllib.loads((PRESETS / f"{name}.toml").read_text())["caps"])
        for name in ("testnet-strict", "live-pilot")
    }
    pilot, testnet = sets["live-pilot"], sets["testnet-strict"]
    for key, spec in PORTFOLIO_CAPS.items():
        if spec.kind in {"amount", "count"} and spec.stricter == "lower":
            assert getattr(pilot, key) <= getattr(testnet, key), key
