"""The accountant asks the venue itself: its history equals the ledger, and hosts are held."""

import hashlib
import http.client
import json
from urllib.parse import urlencode, urlsplit

import pytest
from click.testing import CliRunner

from daemon.model.records import EventType
from evidence.evidence_commands import evidence_group
from evidence.read.journal_sources import SourceError
from evidence.report.venue_history import (
    Key,
    VenueReader,
    default_rest_url,
    download,
    read_key,
    scope_of,
)
from tests.support.journal_maker import JournalMaker
from tests.support.sim_process import SimProcess


def post(rest, key, **fields):
    """Place an order like any client would."""
    parts = urlsplit(rest)
    link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    link.request("GET", "/api/v3/time")
    stamp = json.loads(link.getresponse().read())["serverTime"]
    query = urlencode({**fields, "timestamp": stamp, "recvWindow": 60_000})
    query += "&" + urlencode({"signature": key.sign(query)})
    link.request("POST", f"/api/v3/order?{query}", headers={"X-MBX-APIKEY": key.api_key})
    answer = link.getresponse()
    body = json.loads(answer.read())
    link.close()
    assert answer.status == 200, body
    return body


@pytest.fixture
def journal(tmp_path):
    maker = JournalMaker()
    maker.run_start()
    maker.write(
        EventType.RECONCILED, reason="boot", clean=True, differences=[], recovered_fills=0,
        adopted=0, canceled=0, balances={"BTC": ["3.33333333", "0"], "USDT": ["200000", "0"]},
    )  # fmt: skip
    return maker.save(tmp_path)[0]


def test_the_history_is_what_the_venue_booked(journal, tmp_path):
    with SimProcess(seed=7) as sim:
        key = Key(sim.api_key, sim.api_secret.encode())
        limit = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC"}
        post(sim.rest, key, **limit, side="BUY", quantity="0.01", price="50000",
             newClientOrderId="stabc123-1-1")  # fmt: skip
        taken = post(sim.rest, key, symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.02",
                     newClientOrderId="stabc123-1-2")  # fmt: skip
        assert taken["status"] == "FILLED"
        found = download(journal, sim.rest, key)
        books = sim.ledger()
    assert found["is_simulated"] is True
    assert found["symbols"] == ["BTCUSDT", "ETHUSDT"]
    names = ("client_order_id", "side", "qty", "executed_qty", "status", "symbol")
    mine = sorted(tuple(str(row[n]) for n in names) for row in found["orders"])
    theirs = sorted(tuple(str(row[n]) for n in names) for row in books["orders"])
    assert mine == theirs
    assert [one["client_order_id"] for one in found["open_orders"]] == ["stabc123-1-1"]
    trades = ("trade_id", "order_id", "client_order_id", "side", "qty", "price", "fee", "fee_asset")
    assert [tuple(str(f[n]) for n in trades) for f in found["fills"]] == [
        tuple(str(f[n]) for n in trades) for f in books["fills"]
    ]
    assert found["balances"]["BTC"] == books["balances"]["BTC"]


def test_the_command_writes_a_file_that_a_report_takes(journal, tmp_path):
    credentials = tmp_path / "key.toml"
    with SimProcess(seed=7) as sim:
        credentials.write_text(f'api_key = "{sim.api_key}"\napi_secret = "{sim.api_secret}"\n')
        out = tmp_path / "history.json"
        done = CliRunner().invoke(
            evidence_group,
            ["download", str(journal), "--credentials", str(credentials), "--rest", sim.rest,
             "--out", str(out)],
        )  # fmt: skip
        assert done.exit_code == 0, done.output
    checked = CliRunner().invoke(evidence_group, ["verify", str(journal), "--ledger", str(out)])
    assert "corroborated OK" in checked.output


def test_the_list_is_kept_with_its_hash_and_held_against_the_journal(journal, tmp_path):
    """As the timer does it: a file a call, none over another, and a line each in the index."""
    credentials, kept = tmp_path / "key.toml", tmp_path / "kept"
    with SimProcess(seed=7) as sim:
        credentials.write_text(f'api_key = "{sim.api_key}"\napi_secret = "{sim.api_secret}"\n')
        words = ["venue-history", str(journal), "--credentials", str(credentials),
                 "--rest", sim.rest, "--out-dir", str(kept)]  # fmt: skip
        first = CliRunner().invoke(evidence_group, [*words, "--json"])
        key = Key(sim.api_key, sim.api_secret.encode())
        limit = {"symbol": "BTCUSDT", "type": "LIMIT", "timeInForce": "GTC"}
        post(sim.rest, key, **limit, side="BUY", quantity="0.01", price="50000",
             newClientOrderId="stabc123o001000000011w3f0p9qk2m5v7xz")  # fmt: skip
        post(sim.rest, key, **limit, side="BUY", quantity="0.01", price="50001",
             newClientOrderId="web_1")  # fmt: skip
        second = CliRunner().invoke(evidence_group, words)
        asked = CliRunner().invoke(
            evidence_group,
            ["verify", str(journal), "--fetch-venue-history", "--credentials", str(credentials),
             "--rest", sim.rest, "--json"],
        )  # fmt: skip
    assert first.exit_code == 0, first.output
    index = [json.loads(line) for line in (kept / "index.jsonl").read_text().splitlines()]
    assert [one["orders"] for one in index] == [0, 2]
    for one in index:
        body = (kept / one["file"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == one["sha256"]
        rows = json.loads(body)["all_orders"]["BTCUSDT"]
        assert len(rows) == one["orders"]
        assert all({"orderId", "clientOrderId", "time", "updateTime"} <= row.keys() for row in rows)
    assert second.exit_code == 2, "an order of ours is there, and the journal has none"
    assert "stabc123o001000000011w3f0p9qk2m5v7xz" in second.output
    (told,) = json.loads(asked.stdout)["journals"].values()
    anchors = told["venue_anchors"]
    assert (anchors["ids"], anchors["anchors"]) == (1, 0)
    assert anchors["is_outside_anchor"] is False, "a simulated venue is nobody's notary"
    assert anchors["misfits"] + anchors["lost_tail"]["count"] == 1


def test_a_list_cannot_be_fetched_without_a_key(journal):
    done = CliRunner().invoke(evidence_group, ["verify", str(journal), "--fetch-venue-history"])
    assert done.exit_code == 1
    assert "--credentials" in done.output


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ("binance-spot-testnet", "https://api.binance.com"),
        ("binance-spot-testnet", "http://testnet.binance.vision"),
        ("binance-spot-testnet", "https://testnet.binance.vision.example"),
        ("binance-spot-testnet", "https://testnet.binance.vision:8443"),
        ("binance-spot-testnet", "http://127.0.0.1:1"),
        ("sim", "https://testnet.binance.vision"),
        ("sim", "http://10.0.0.1:80"),
        ("binance-spot-live", "https://api.binance.com"),
        ("", "http://127.0.0.1:1"),
    ],
)
def test_an_address_of_another_environment_is_refused_before_anything_is_sent(environment, url):
    with pytest.raises(SourceError, match="not an address of"):
        VenueReader(url, environment, Key("k", b"s"))


def test_the_default_address_is_the_testnets():
    assert default_rest_url("binance-spot-testnet") == "https://testnet.binance.vision"
    with pytest.raises(SourceError, match="--rest"):
        default_rest_url("sim")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("not toml [", "not TOML"),
        ('api_secret = "x"', "api_key is missing"),
        ('api_key = "k"\ned25519_private_key = "hunter2"', "no PEM key"),
    ],
)
def test_a_bad_key_file_is_told_without_quoting_it(tmp_path, text, why):
    path = tmp_path / "key.toml"
    path.write_text(text)
    with pytest.raises(SourceError, match=why) as caught:
        read_key(path)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SourceError, match="No such file"):
        read_key(tmp_path / "nowhere")


def test_a_secret_is_in_no_repr():
    assert "hunter2" not in repr(Key("k", b"hunter2"))


def test_a_venue_that_does_not_answer_is_one_line(journal):
    with pytest.raises(SourceError, match=r"127\.0\.0\.1"):
        download(journal, "http://127.0.0.1:9", Key("k", b"s"))


def test_the_scope_comes_from_the_journal(journal):
    scope = scope_of(journal)
    assert (scope.environment, scope.symbols) == ("sim", ["BTCUSDT", "ETHUSDT"])
    assert scope.initial_balances["USDT"] == {"free": "200000", "locked": "0"}
