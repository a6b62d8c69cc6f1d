"""Configuration: every violation at once, each with its key and a mend; nothing unknown passes."""

import ast
import copy
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from pydantic import BaseModel

from daemon.assembly import about_run, link_config
from daemon.settings import Settings, SettingsError, config_from_mapping, load_config
from riskcaps.words.capset import PORTFOLIO_CAPS, SYMBOL_CAPS
from tests.architecture.tree import parsed, product_modules

CAPS = Path("daemon/demo/caps/demo.toml")
ROOT = Path(__file__).resolve().parents[2]


def good() -> dict[str, Any]:
    return {
        "state_dir": "/var/lib/seatrial/x",
        "venue": {
            "environment": "sim",
            "symbols": ["BTCUSDT", "ETHUSDT"],
            "rest": "http://127.0.0.1:1",
            "ws_api": "ws://127.0.0.1:1/ws-api/v3",
            "streams": "ws://127.0.0.1:1",
        },
        "strategies": {"q": {"class": "quoter", "symbols": ["BTCUSDT"], "params": {}}},
        "caps": tomllib.loads((ROOT / CAPS).read_text())["caps"],
    }


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        config_from_mapping(data)
    return caught.value.violations


def test_a_good_configuration_is_taken_and_hashed() -> None:
    first, second = config_from_mapping(good()), config_from_mapping(good())
    assert first.config_hash == second.config_hash
    changed = good()
    changed["venue"]["recv_window_ms"] = 2_000
    assert config_from_mapping(changed).config_hash != first.config_hash


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            ("venue", "enviroment"),
            "sim",
            "venue.enviroment: unknown key; did you mean environment?",
        ),
        (("venue", "environment"), "binance", "venue.environment"),
        (("venue", "symbols"), [], "venue.symbols"),
        (("venue", "symbols"), ["btcusdt"], "write it like BTCUSDT"),
        (("venue", "symbols"), ["BTCUSDT", "BTCUSDT"], "name each once"),
        (("venue", "recv_window_ms"), "3000", "venue.recv_window_ms"),
        (("venue", "recv_window_ms"), True, "venue.recv_window_ms"),
        (("venue", "recv_window_ms"), 60_001, "venue.recv_window_ms"),
        (("venue", "order_road"), "fix", "venue.order_road"),
        (("venue", "depth_symbols"), ["DOGEUSDT"], "depth_symbols: DOGEUSDT not in symbols"),
        (("venue", "with_trades"), "yes", "venue.with_trades"),
        (("venue", "ping_doubt_ms"), 5_000, "must be below reply_deadline_ms (5000)"),
        (("venue", "snapshot_lookups_max"), 0, "venue.snapshot_lookups_max"),
        (("metrics",), {"port": 99_999}, "metrics.port"),
        (("strategies", "q", "symbols"), ["DOGEUSDT"], "DOGEUSDT not in venue.symbols"),
        (("strategies", "q", "clas"), "x", "strategies.q.clas: unknown key"),
        (("strategies", "bot:q"), {"class": "quiet", "symbols": ["BTCUSDT"]}, "those of bots"),
        (("journal",), {"segment_bytes_max": 1}, "journal.segment_bytes_max"),
        (("caps",), "none", "caps: must be a table"),
        (("caps", "orders_per_hour_maximum"), 1, "caps.orders_per_hour_maximum"),
        (("caps", "orders_per_hour_max"), 1.5, "caps.orders_per_hour_max"),
    ],
)
def test_each_violation_names_its_key(path: tuple[str, ...], value: Any, expected: str) -> None:
    data = good()
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert any(expected in line for line in problems(data)), problems(data)


def test_a_collar_on_the_last_trade_needs_public_trades() -> None:
    data = good()
    data["venue"]["with_trades"] = False
    assert config_from_mapping(data).settings.venue.with_trades is False
    data["caps"]["symbols"]["ETHUSDT"]["collar_reference"] = "last"
    (only,) = problems(data)
    assert only.startswith("venue.with_trades: false, but caps.symbols.ETHUSDT.collar_reference")


def test_a_real_venue_gets_time_to_prove_an_absence() -> None:
    data = good()
    data["venue"] = {"environment": "binance-spot-testnet", "symbols": ["BTCUSDT", "ETHUSDT"]}
    data["session"] = {"unknown_settle_ms": 14_999}
    assert any("at least 15000" in line for line in problems(data))
    data["session"]["unknown_settle_ms"] = 15_000
    assert config_from_mapping(data).settings.session.unknown_settle_ms == 15_000


FIXED = {
    "query_deadline_ms", "snapshot_deadline_ms", "connect_deadline_ms", "ping_idle_ms",
    "ping_reply_ms", "backoff_min_ms", "backoff_max_ms", "backoff_reset_ms",
    "connection_age_max_ms", "overlap_ms", "snapshot_overlap", "questions_max",
    "time_sync_period_ms", "exchange_info_period_ms", "budget_period_ms",
}  # fmt: skip
"""Bounds of the link that follow from the venue's rules or our own safety, not from a box."""


def test_every_choice_of_the_link_is_reached_by_its_key() -> None:
    data = good()
    chosen: dict[str, Any] = {
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "recv_window_ms": 2_001,
        "reply_deadline_ms": 4_001,
        "stream_silence_max_ms": 20_001,
        "order_road": "rest",
        "depth_symbols": ["ETHUSDT"],
        "with_trades": False,
        "ping_doubt_ms": 501,
        "snapshot_lookups_max": 7,
    }
    data["venue"] |= chosen
    made = link_config(config_from_mapping(data).settings)
    told = msgspec.structs.asdict(made)
    for key, value in chosen.items():
        assert told.pop(key) == (tuple(value) if isinstance(value, list) else value), key
    assert set(told) == FIXED


def test_all_violations_are_reported_at_once() -> None:
    data = good()
    data["venue"]["recv_window_ms"] = 0
    data["metrics"] = {"port": -1}
    data["caps"]["nonsense"] = 1
    del data["state_dir"]
    found = problems(data)
    for key in ("venue.recv_window_ms", "metrics.port", "caps.nonsense", "state_dir: missing"):
        assert any(line.startswith(key) for line in found), found


def test_no_caps_is_a_violation_not_a_licence() -> None:
    data = good()
    del data["caps"]
    assert any("without caps every order is denied" in line for line in problems(data))


def test_real_venues_take_no_urls_and_sim_needs_them() -> None:
    data = copy.deepcopy(good())
    data["venue"]["environment"] = "binance-spot-testnet"
    assert any("built-in hosts" in line for line in problems(data))
    data = good()
    del data["venue"]["rest"]
    assert any("seatrial sim" in line for line in problems(data))


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "no such file"), (b"a = [", "is not TOML"), (b"\xff\xfe", "cannot be read")],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=expected):
        load_config(path)


# ---------------------------------------------------------------------- files of any editor
TEXT = 'state_dir = "/x"\n[venue]\nenvironment = "sim"\n\tsymbols = ["BTCUSDT"]\n'


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
    ],
    ids=["mark", "CRLF", "mark and CRLF", "CR"],
)
def test_a_configuration_of_any_editor_is_read(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "seatrial.toml"
    path.write_bytes(raw)
    with pytest.raises(SettingsError) as caught:
        load_config(path)
    assert caught.value.violations == [
        "venue: sim needs rest, ws_api and streams: copy them from the line `seatrial sim` prints",
        "caps: missing; without caps every order is denied; add a [caps] table",
    ], "the file was read: what is wrong is what it says"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_named_with_its_mend(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "seatrial.toml"
    path.write_bytes(TEXT.encode(encoding))
    with pytest.raises(SettingsError, match="save the file as UTF-8"):
        load_config(path)


@pytest.mark.parametrize(
    "text", [TEXT + 'environment = "sim"\n', TEXT + "[venue]\n", TEXT + "x = 'a\n"]
)
def test_doubled_keys_and_tables_are_refused_with_their_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seatrial.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"is not TOML: .*\(at .*\); correct that line"):
        load_config(path)


# ---------------------------------------------------------------------- names
@pytest.mark.parametrize("symbol", ["币安人生USDT", "这是测试币456", "1INCHUSDT", "ÖLUSDT"])
def test_a_symbol_may_be_of_any_script(symbol: str) -> None:
    data = good()
    data["venue"]["symbols"].append(symbol)
    data["caps"]["symbols"][symbol] = data["caps"]["symbols"]["BTCUSDT"]
    data["strategies"]["q"]["symbols"] = [symbol]
    config = config_from_mapping(data)
    assert config.capset.for_instrument(f"{symbol}@sim") is not None


@pytest.mark.parametrize(
    "symbol", ["", "BTC/USDT", "BTC USDT", "BTC@SIM", "straßeUSDT", "İUSDT", "O\u0308L", "X" * 41]
)
def test_what_can_be_no_symbol_is_refused(symbol: str) -> None:
    data = good()
    data["venue"]["symbols"].append(symbol)
    (problem,) = problems(data)
    assert "is no symbol" in problem


def test_a_strategy_whose_symbol_has_no_caps_is_refused_with_the_mend() -> None:
    data = good()
    data["venue"]["symbols"].append("XYZUSDT")
    data["strategies"]["q"]["symbols"] = ["XYZUSDT"]
    (problem,) = problems(data)
    assert problem.startswith("strategies.q.symbols: XYZUSDT has no caps")
    assert "add [caps.symbols.XYZUSDT] or remove it here" in problem


# ---------------------------------------------------------------------- nothing offered is dead
def test_the_mark_price_is_refused_because_spot_has_none() -> None:
    data = good()
    data["caps"]["symbols"]["BTCUSDT"]["collar_reference"] = "mark"
    (problem,) = problems(data)
    assert "caps.symbols.BTCUSDT.collar_reference: spot has no mark price" in problem
    assert 'write "mid", or "last"' in problem


@pytest.mark.xdist_group("architecture")  # the parsed tree is there
def test_every_key_is_read_by_something() -> None:
    """Attributes and texts of the product, less the tables that declare the keys."""
    declared = {"daemon/settings.py", "riskcaps/words/caps.py"}
    used: set[str] = set()
    for name in product_modules():
        if name not in declared and not name.startswith("evidence/"):
            used |= words_used(parsed(name))
    keys = {key for model in models_of(Settings) for key in model.model_fields}
    caps = {*PORTFOLIO_CAPS, *SYMBOL_CAPS}
    assert len(keys) > 40
    assert not {key for key in keys | caps if key not in used}


def words_used(tree: ast.AST) -> set[str]:
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    made = {  # f"orders_per_{window}_max"
        "".join(part.value if isinstance(part, ast.Constant) else ".+" for part in node.values)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
    }
    every = {*PORTFOLIO_CAPS, *SYMBOL_CAPS}
    whole = {text for text in made if text.strip(".+")}
    return names | texts | {cap for cap in every if any(_fits(one, cap) for one in whole)}


def _fits(pattern: str, cap: str) -> bool:
    try:
        return re.fullmatch(pattern, cap) is not None
    except re.error:
        return False


def models_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    found = [model]
    for info in model.model_fields.values():
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found += models_of(kind)
    return found


GATEWAY = {"listen": "127.0.0.1:8790"}
BOT = {"symbols": ["BTCUSDT"]}


@pytest.mark.parametrize(
    ("gateway", "bots", "problem"),
    [
        ({"listen": "0.0.0.0:8790"}, {}, "is reachable from other machines"),
        ({"listen": "example.com:80"}, {}, "is reachable from other machines"),
        ({"listen": "8790"}, {}, "is no address; write 127.0.0.1:8790"),
        ({"listen": "127.0.0.1:99999"}, {}, "is no address"),
        ({**GATEWAY, "tls_key": "k.pem"}, {}, "tls_certificate and tls_key belong together"),
        ({**GATEWAY, "clients": ["here"]}, {}, "'here' is no address and no network"),
        ({}, {"ft": BOT}, "gateway.listen is empty"),
        (GATEWAY, {"Ft": BOT}, "a name is 1 to 16 of"),
        (GATEWAY, {"ft": {"symbols": ["XRPUSDT"]}}, "XRPUSDT not in venue.symbols"),
        (GATEWAY, {"ft": {"symbols": ["BTCUSDT", "BTCUSDT"]}}, "a symbol stands twice"),
        (GATEWAY, {"ft": {**BOT, "capital": {"USDT": "much"}}}, "'much' is no amount"),
        (
            GATEWAY,
            {"ft": {**BOT, "caps": {"orders_open_max": 100_000}}},
            "bots.ft.caps.orders_open_max: is looser than [caps]; a bot's cap is at least",
        ),
        (GATEWAY, {"ft": {**BOT, "caps": {"orders": 1}}}, "bots.ft.caps.orders: no such cap"),
        (GATEWAY, {"ft": {**BOT, "patience": 3}}, "did you mean patience_ms?"),
    ],
)
def test_what_is_wrong_with_a_gateway_or_a_bot_is_said(
    gateway: dict[str, Any], bots: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        config_from_mapping({**good(), "gateway": gateway, "bots": bots})
    assert problem in str(refused.value)


def test_a_gateway_on_loopback_a_socket_or_behind_tls_is_taken(tmp_path: Path) -> None:
    tls = {"tls_certificate": "c.pem", "tls_key": "k.pem", "clients": ["192.0.2.0/24"]}
    for gateway in (
        GATEWAY,
        {"listen": "[::1]:0"},
        {"listen": "unix:gateway.sock"},
        {"listen": "192.0.2.9:443", **tls},
    ):
        made = config_from_mapping({**good(), "gateway": gateway}, tmp_path / "seatrial.toml")
        assert made.settings.gateway.listen
    sock = config_from_mapping(
        {**good(), "gateway": {"listen": "unix:g.sock"}}, tmp_path / "seatrial.toml"
    )
    assert sock.settings.gateway.listen == f"unix:{tmp_path / 'g.sock'}"


def test_a_run_says_which_bot_its_trials_are_of(tmp_path: Path) -> None:
    """The hash of the command and of the files that it names; relative ones begin at the file."""
    (tmp_path / "bot.py").write_text("print('a bot')\n")
    data = good()
    assert "bot_version" not in about_run(config_from_mapping(data, tmp_path / "seatrial.toml"))
    data["trials"] = {"command": ["python", "bot.py"]}
    told = about_run(config_from_mapping(data, tmp_path / "seatrial.toml"))
    digest = hashlib.sha256(b"print('a bot')\n").hexdigest()
    whole = hashlib.sha256(b"python\0bot.py\0bot.py\0" + digest.encode()).hexdigest()
    assert told == {"heartbeat_period_ms": 1_000, "bot_version": whole}
