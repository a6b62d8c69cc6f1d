"""What the operator sees of bots: caps, journal lines, incidents, report.

The bots' rules are the example of docs/GATEWAY.md. The venue's ledger and the journal's own lines
are the judges.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from daemon.settings import SettingsError, load_config
from evidence.evidence_commands import evidence_group
from evidence.promotion.promote_command import promote_command
from tests.support.bot_box import ROOT, BotBox
from tests.support.raw_bot import RawBot

EXAMPLE = re.search(
    r"<!-- run by tests/integration/test_operator_sees_bots\.py -->\n```toml\n(.*?)```",
    (ROOT / "docs" / "GATEWAY.md").read_text(),
    re.DOTALL,
)
HEAD = '[bots.ft]\nsymbols = ["BTCUSDT"]\n'

pytestmark = pytest.mark.xdist_group("operator sees bots")  # one box, one order of tests


def example() -> str:
    """What stands below the bot's symbols in the document."""
    assert EXAMPLE is not None, "docs/GATEWAY.md has lost its example"
    text = EXAMPLE[1]
    assert text.startswith(HEAD)
    return text.removeprefix(HEAD).replace("bots.ft", "bots.NAME")


def bot_of(box: BotBox, name: str) -> RawBot:
    keys = box.keys[name]
    return RawBot(box.address, keys.api_key, keys.secret)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotBox]:
    directory = tmp_path_factory.mktemp("box")
    with BotBox(directory, bots=("ft", "cx"), rules=example()) as made:
        yield made


def own_caps(box: BotBox, bot: str) -> dict[tuple[str, str], dict[str, Any]]:
    told = json.loads(box.must("caps", "--json"))["bots"][bot]["caps"]
    return {(row["cap"], row["symbol"]): row for row in told}


def test_a_bots_own_caps_bind_it_alone_and_their_use_is_shown(box: BotBox) -> None:
    ft, cx = bot_of(box, "ft"), bot_of(box, "cx")
    for number in range(3):
        assert ft.rest(f"f{number}", 0.95 - number / 100).status == 200
    assert cx.rest("c0", 0.9).status == 200
    one_more = ft.rest("f3", 0.91)
    assert one_more.code == -2010
    assert "orders_open" in one_more.body["msg"]
    assert "limit=3" in one_more.body["msg"]
    price = f"{cx.bid() * 0.95:.2f}"
    large = cx.call(
        "POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
        quantity="0.006", price=price,
    )  # fmt: skip
    assert large.code == -2010
    assert "limit=0.005" in large.body["msg"]  # the account's limit is 0.01
    at_venue = box.open_at_venue()
    assert len(at_venue) == 4
    told = box.until(lambda status: status["bots"]["ft"]["open_orders"] == 3)
    assert told["bots"]["cx"]["open_orders"] == 1
    ft_caps, cx_caps = own_caps(box, "ft"), own_caps(box, "cx")
    named = {("orders_open_max", ""), ("exposure_gross_numeraire_max", "")}
    assert named <= set(ft_caps) <= {*named, ("loss_day_numeraire_max", "")}
    assert (ft_caps["orders_open_max", ""]["used"], ft_caps["orders_open_max", ""]["limit"]) == (
        "3", "3",
    )  # fmt: skip
    assert cx_caps["orders_open_max", ""]["used"] == "1"
    worth = sum(float(row["price"]) * float(row["qty"]) for row in at_venue[:3])
    used = float(ft_caps["exposure_gross_numeraire_max", ""]["used"])
    assert used == pytest.approx(worth, rel=0.1)  # worst case: at the ask, not at the limit price
    text = box.must("caps")
    assert re.search(r"ft: orders_open +3 +3 orders", text)
    assert re.search(r"cx: orders_open +1 +3 orders", text)


def test_tail_shows_one_bots_lines_and_those_of_its_orders(box: BotBox) -> None:
    ft, cx = bot_of(box, "ft"), bot_of(box, "cx")
    assert ft.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200
    for bot in (ft, cx):
        bought = bot.call(
            "POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001"
        )
        assert bought.body["status"] == "FILLED", bought.body
    every = [
        json.loads(line)
        for line in box.must("tail", "-n", "1000", "--no-follow", "--json").splitlines()
    ]
    owners = {
        line["client_order_id"]: line["owner"]["bot"]
        for line in every
        if line["event_type"] == "order_approved"
    }
    for name in ("ft", "cx"):
        shown = box.must("tail", "--bot", name, "-n", "1000", "--no-follow", "--json").splitlines()
        mine = [json.loads(line)["seq"] for line in shown]
        assert mine == [line["seq"] for line in every if _is_about(line, name, owners)]
        kinds = {line["event_type"] for line in every if line["seq"] in mine}
        assert kinds >= {"order_approved", "order_denied", "fill", "bot_answered"}
    assert box.must("tail", "--bot", "nobody", "--no-follow", "--json") == ""


def _is_about(line: dict[str, Any], bot: str, owners: dict[str, str]) -> bool:
    owner = line.get("owner") or {}
    order = line.get("client_order_id", "")
    return bot in {line.get("bot"), owner.get("bot"), owners.get(order)}


def reports(box: BotBox, directory: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The report in its forms, and the decision on promotion, of the box's journal."""
    journal, out = str(box.directory / "state" / "journal"), directory / "report"
    done = CliRunner().invoke(evidence_group, ["report", journal, "--out-dir", str(out)])
    forms = {path.suffix[1:]: path.read_text() for path in out.iterdir() if path.is_file()}
    assert set(forms) >= {"json", "md", "html"}, done.output
    options = ["--rehearsal", "--out-dir", str(directory / "decision")]
    CliRunner().invoke(promote_command, [journal, *options])
    decided = json.loads((directory / "decision" / "promotion_decision.json").read_text())
    return forms, decided


def test_report_and_promotion_have_the_bots_in_every_form(box: BotBox, tmp_path: Path) -> None:
    forms, decided = reports(box, tmp_path)
    told = json.loads(forms["json"])["journals"][0]["bots"]["bots"]
    placed = [line for line in box.journal("order_approved") if line["owner"]["bot"] == "ft"]
    assert told["ft"]["orders"] == len(placed) > 0
    assert set(told) == {"ft", "cx"}
    assert f"| ft | {told['ft']['requests']} |" in forms["md"]
    table = forms["html"].partition("<caption>Bots")[2] or forms["html"].partition("Bots<")[2]
    assert ">ft<" in table.partition("</table>")[0]
    assert "orders_open" in forms["md"]
    of_promotion = decided["statistics"]["bots"]
    assert {name: one["orders"] for name, one in of_promotion.items()} == {
        name: one["orders"] for name, one in told.items()
    }


def test_a_bots_cap_that_is_looser_than_the_accounts_is_refused_with_its_key(box: BotBox) -> None:
    text = box.config.read_text()
    looser = box.directory / "looser.toml"
    looser.write_text(text.replace('order_qty_base_max = "0.005"', 'order_qty_base_max = "5"'))
    with pytest.raises(
        SettingsError, match=r"bots\.ft\.caps\.symbols\.BTCUSDT\.order_qty_base_max"
    ):
        load_config(looser)


def test_an_incident_about_a_bots_key_names_the_bot_on_the_screen_and_in_its_pack(
    box: BotBox, tmp_path: Path
) -> None:
    keys = box.keys
    mixed = RawBot(box.address, keys["ft"].api_key, keys["cx"].secret)
    assert mixed.call("GET", "account").code == -1022
    status = box.until(lambda status: status["incidents_open"] == 1)
    incident_id = status["incidents"][0]["incident_id"]
    bot = status["incidents"][0]["context"]["bot"]
    assert bot in {"ft", "cx"}
    assert f"bot       {bot}" in box.must("incident", "show", incident_id)
    assert f"- **Bot:** {bot}\n" in box.must("incident", "show", incident_id, "--markdown")
    folder = box.directory / "state" / "incidents" / incident_id
    box.until(lambda _: (folder / "note.md").exists())
    assert f"- **Bot:** {bot}\n" in (folder / "note.md").read_text()
    forms, _ = reports(box, tmp_path)
    (told,) = json.loads(forms["json"])["journals"][0]["incidents"]["incidents"]
    assert (told["incident_id"], told["bot"]) == (incident_id, bot)
    for form in ("md", "html"):
        assert f"key_misused (bot {bot})" in forms[form].replace("\\_", "_")
    assert f'"bot":"{bot}"' in (folder / "journal.jsonl").read_text()
