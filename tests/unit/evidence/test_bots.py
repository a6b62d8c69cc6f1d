"""Bots before the accountant: honest worlds pass, every trick shows, signatures prove who asked."""

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.model.inputs import TimerFired
from daemon.model.records import EventType
from daemon.shell.gateway.bot_authentication import proof_of
from daemon.shell.journal.input_lines import input_text
from daemon.shell.journal.journal_writer import Journal
from evidence.promotion.campaign import campaign_of
from evidence.promotion.policy import Policy
from evidence.promotion.promotion_decision import decide
from evidence.read.bot_lines import BotInputLine
from evidence.read.bot_proofs import public_key_of as read_key
from evidence.read.bot_proofs import wrong_with, wrong_with_list
from evidence.read.journal_lines import InputLine
from evidence.read.journal_reader import JournalReader
from evidence.report.html_report import html_of
from evidence.report.report import build_report
from evidence.report.report_text import markdown_of
from tests.support.bot_liars import BOT_TRICKS, Lines, Trick, judged
from tests.support.bot_stage import BotStage
from tests.support.journal_maker import encode, write_journal
from tests.support.liars_table import BOTS, documented, row_of_a_bots_trick
from tests.support.sim_bots import run_world
from tests.support.sim_journal import books_of, records_of


@pytest.mark.parametrize("seed", range(8))
def test_an_honest_world_is_ok_and_the_figures_are_the_engines(tmp_path: Path, seed: int) -> None:
    world = run_world(seed)
    journal = write_journal(tmp_path / "journal", encode(json.loads(json.dumps(records_of(world)))))
    (tmp_path / "books.json").write_text(json.dumps(books_of(world)))
    report = build_report([journal], ledger=tmp_path / "books.json")
    assert report.verdict == "OK", report.reasons
    plain = report.to_json()
    mine = plain["journals"][0]["bots"]["bots"]
    told = world.engine.status(world.now_ns)["bots"]
    for name, bot in mine.items():
        engine = told[name]
        for key in ("orders", "fills", "denied", "refused"):
            assert bot[key] == engine[key], (name, key)
        theirs = {symbol: one["qty"] for symbol, one in engine["positions"].items()}
        assert {symbol: one["qty"] for symbol, one in bot["positions"].items()} == theirs
    assert "### Bots" in markdown_of(plain)
    assert ">Bots<" in html_of(plain)


@pytest.mark.parametrize(
    ("trick", "kind"), BOT_TRICKS, ids=[trick.__name__ for trick, _ in BOT_TRICKS]
)
def test_a_trick_with_a_bots_order_is_seen_through(tmp_path: Path, trick: Trick, kind: str) -> None:
    assert judged(None, tmp_path / "before").verdict == "OK", "the honest journal is OK"
    after = judged(trick, tmp_path / "after")
    assert after.verdict == "NO_GO"
    assert any(f"x {kind}" in one for one in after.reasons), after.reasons
    assert row_of_a_bots_trick(trick, kind, after) in documented(BOTS), "docs/LIARS.md is stale"


# ---------------------------------------------------------------------- signatures
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def public_key_of(text: str) -> Ed25519PublicKey:
    found = read_key(text)
    assert found is not None
    return found


ASKED = {
    "instrument_id": "BTCUSDT@sim", "client_order_id": "a1", "side": "BUY", "order_type": "LIMIT",
    "qty": "0.10", "quote_qty": None, "price": "60000", "stop_price": None, "time_in_force": "GTC",
}  # fmt: skip
TEXT = (
    "newClientOrderId=a1&price=60000.00&quantity=0.1&side=BUY&symbol=BTCUSDT&timeInForce=GTC"
    "&timestamp=1790000000000&type=LIMIT"
)


def proof(text: str = TEXT, key: Ed25519PrivateKey = KEY) -> str:
    signature = base64.b64encode(key.sign(text.encode())).decode()
    return json.dumps({"text": text, "signature": signature})


def test_a_signature_over_the_same_order_proves_that_the_bot_asked() -> None:
    assert wrong_with(proof(), ASKED, public_key_of(PUBLIC)) == ""
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert wrong_with(proof(), ASKED, public_key_of(pem)) == ""


def test_a_proof_reads_as_the_gateway_writes_it() -> None:
    signature = base64.b64encode(KEY.sign(TEXT.encode())).decode()
    written = proof_of(TEXT.encode(), signature)
    assert wrong_with(written, ASKED, public_key_of(PUBLIC)) == ""
    assert "quantity" in wrong_with(written, {**ASKED, "qty": "1"}, public_key_of(PUBLIC))
    assert "not the bot's" in wrong_with(written.replace("60000.00", "1"), ASKED,
                                         public_key_of(PUBLIC))  # fmt: skip


LIST_TEXT = (
    "symbol=BTCUSDT&side=SELL&quantity=0.1&listClientOrderId=pair&aboveType=LIMIT_MAKER"
    "&abovePrice=61000&aboveClientOrderId=up&belowType=STOP_LOSS_LIMIT&belowPrice=58900"
    "&belowStopPrice=59000&belowTimeInForce=GTC&belowClientOrderId=down&timestamp=1790000000000"
)
OLD_TEXT = (
    "symbol=BTCUSDT&side=SELL&quantity=0.1&listClientOrderId=pair&price=61000"
    "&limitClientOrderId=up&stopPrice=59000&stopLimitPrice=58900&stopClientOrderId=down"
    "&stopLimitTimeInForce=GTC"
)
OTO_TEXT = (
    "symbol=BTCUSDT&listClientOrderId=pair&workingType=LIMIT_MAKER&workingSide=SELL"
    "&workingPrice=61000&workingQuantity=0.1&workingClientOrderId=up"
    "&pendingType=STOP_LOSS_LIMIT&pendingSide=SELL&pendingQuantity=0.1&pendingPrice=58900"
    "&pendingStopPrice=59000&pendingTimeInForce=GTC&pendingClientOrderId=down"
)
OTOCO_TEXT = (
    "symbol=BTCUSDT&listClientOrderId=pair&workingType=LIMIT_MAKER&workingSide=SELL"
    "&workingPrice=61000&workingQuantity=0.1&workingClientOrderId=up&pendingSide=SELL"
    "&pendingQuantity=0.1&pendingAboveType=LIMIT_MAKER&pendingAbovePrice=61000"
    "&pendingAboveClientOrderId=up&pendingBelowType=STOP_LOSS_LIMIT"
    "&pendingBelowPrice=58900&pendingBelowStopPrice=59000&pendingBelowTimeInForce=GTC"
    "&pendingBelowClientOrderId=down"
)
UP = {
    "instrument_id": "BTCUSDT@sim", "client_order_id": "up", "side": "SELL", "qty": "0.1",
    "order_type": "LIMIT_MAKER", "price": "61000", "stop_price": None, "quote_qty": None,
    "time_in_force": None,
}  # fmt: skip
DOWN = {
    **UP, "client_order_id": "down", "order_type": "STOP_LOSS_LIMIT", "price": "58900",
    "stop_price": "59000", "time_in_force": "GTC",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "change", "word"),
    [
        (LIST_TEXT, {}, ""),
        (LIST_TEXT.replace("belowStopPrice=59000", "belowStopPrice=1"), {}, "stopPrice"),
        (LIST_TEXT.replace("side=SELL", "side=BUY"), {}, "side"),
        (LIST_TEXT, {"list_id": "other"}, "signed as list pair"),
        (LIST_TEXT, {"orders": [UP]}, "a list of 2 orders is signed"),
        (LIST_TEXT, {"orders": [DOWN, UP]}, "signed as up"),
        (OLD_TEXT, {}, ""),
        (OTO_TEXT, {}, ""),
        (OTOCO_TEXT, {"orders": [UP, UP, DOWN]}, ""),
        (OTOCO_TEXT, {}, "a list of 3 orders is signed"),
        (OTO_TEXT.replace("&pendingQuantity=0.1", ""), {"pays": True}, ""),
        (OTO_TEXT.replace("&pendingQuantity=0.1", ""), {}, "quantity"),
        (
            OTO_TEXT.replace("&pendingQuantity=0.1", "&pendingQuantity=9"),
            {"pays": True},
            "quantity",
        ),
    ],
)
def test_a_signature_over_a_list_proves_each_of_its_orders(
    text: str, change: dict[str, Any], word: str
) -> None:
    asked = {"list_id": "pair", "orders": [UP, DOWN], **change}
    told = wrong_with_list(proof(text), asked, public_key_of(PUBLIC))
    assert (word in told) if word else told == ""


@pytest.mark.parametrize(
    ("made", "asked", "word"),
    [
        (proof(key=Ed25519PrivateKey.from_private_bytes(b"x" * 32)), {}, "not the bot's"),
        (proof(), {"qty": "0.2"}, "quantity"),
        (proof(), {"price": "61000"}, "price"),
        (proof(), {"price": None}, "price"),
        (proof(), {"side": "SELL"}, "side"),
        (proof(), {"instrument_id": "ETHUSDT@sim"}, "signed for BTCUSDT"),
        (proof(), {"client_order_id": "a2"}, "signed as a1"),
        (proof(), {"stop_price": "1"}, "stopPrice"),
        (proof(TEXT.replace("&side=BUY", "")), {}, "side is not signed"),
        (proof(TEXT + "&side=SELL"), {}, "twice"),
        ("{}", {}, "cannot be read"),
        ("[" * 2000, {}, "cannot be read"),
        ('{"text": 1, "signature": ""}', {}, "cannot be read"),
    ],
)
def test_a_signature_over_anything_else_proves_nothing(
    made: str, asked: dict[str, Any], word: str
) -> None:
    assert word in wrong_with(made, {**ASKED, **asked}, public_key_of(PUBLIC))


@pytest.mark.parametrize("text", ["", "no key", "AAAA", None, 5, "-----BEGIN PUBLIC KEY-----"])
def test_what_is_no_key_registers_none(text: object) -> None:
    assert read_key(text) is None


def _signed(records: Lines, *, altered: bool) -> None:
    """Every bot signs, as an Ed25519 bot's requests carry it."""
    for record in records:
        for spec in record.get("bots") or []:
            spec["public_key"] = PUBLIC
        if record["event_type"] != "input":
            continue
        item = record["input"]
        place = item.get("place") if item["type"] == "BotReplace" else item
        if place["type" if item is place else "bot"] and "order_type" in place:
            pairs = {
                "symbol": "BTCUSDT", "side": place["side"], "type": place["order_type"],
                "quantity": place["qty"], "quoteOrderQty": place["quote_qty"],
                "price": place["price"], "timeInForce": place["time_in_force"],
            }  # fmt: skip
            text = "&".join(f"{key}={value}" for key, value in pairs.items() if value is not None)
            place["proof"] = proof(text.replace("side=BUY", "side=SELL") if altered else text)


def test_signed_requests_are_counted_as_proven_and_a_false_one_is_a_fault(tmp_path: Path) -> None:
    report = judged(lambda records: _signed(records, altered=False), tmp_path / "good")
    assert report.verdict == "OK", report.reasons
    bots = report.to_json()["journals"][0]["bots"]["bots"]
    assert all(bot["proven"] > 0 for bot in bots.values())
    report = judged(lambda records: _signed(records, altered=True), tmp_path / "bad")
    assert any("x proof" in one for one in report.reasons)


def test_a_decision_states_what_each_bot_did(tmp_path: Path) -> None:
    report = judged(None, tmp_path)
    (journal,) = campaign_of(report, "story")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    judgement = decide([journal], [], Policy(), now, is_rehearsal=True)
    bots = report.to_json()["journals"][0]["bots"]["bots"]
    stated = judgement.statistics["bots"]
    assert isinstance(stated, dict)
    assert {name: one["orders"] for name, one in stated.items()} == {
        name: bot["orders"] for name, bot in bots.items()
    }


def test_the_daemons_own_lines_of_requests_are_read_and_no_other_input_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", run_id="abc123-1-k3x", mode="testnet", exchange="sim")
    stage = BotStage()
    asked = stage.asks("a1", qty=None, price=None, quote_qty=Decimal(50), proof=proof())
    items = (asked, TimerFired("t"), stage.asks_cancel("a1"), stage.asks_replace("a1", "a2"))
    for number, item in enumerate(items):
        journal.append(EventType.INPUT, input_text(item), ts_ns=number, session_id="s" * 30)
    journal.close()
    files = sorted((tmp_path / "journal").glob("*.jsonl"))
    records = list(JournalReader(files).records())
    assert [type(one) for one in records] == [BotInputLine, InputLine, BotInputLine, BotInputLine]
    first = records[0]
    assert isinstance(first, BotInputLine)
    assert (first.input["type"], first.input["quote_qty"]) == ("BotPlace", "50")
