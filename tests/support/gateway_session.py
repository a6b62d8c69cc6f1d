"""What the sessions of public clients through the gateway share: the snippet, the other trader."""

import os
from typing import Any

from tests.support.bot_box import BotBox, Keys
from tests.support.sim_process import SimProcess

SYMBOL = "BTCUSDT"


def from_snippet(box: BotBox, client: str, bot: str = "ft") -> dict[str, Any]:
    """The names that a client's snippet defines, with the bot's key in the environment."""
    keys: Keys = box.keys[bot]
    os.environ |= {"BOT_API_KEY": keys.api_key, "BOT_API_SECRET": keys.secret}
    names: dict[str, Any] = {}
    exec(compile(box.snippet(client), f"{client} snippet", "exec"), names)
    return names


class OtherTrader(SimProcess):
    """Another account at the venue, which takes what a bot has resting there."""

    def __init__(self, sim: SimProcess) -> None:
        super().__init__()
        self.ready = {**sim.ready, "api_key": "o" * 64, "api_secret": "p" * 64}
        sim.admin_post("key", api_key=self.api_key, api_secret=self.api_secret, account="other")

    def take(self, side: str, quantity: str, price: str) -> dict[str, Any]:
        """Sell to (buy from) whoever rests at this price."""
        row: dict[str, Any] = self.signed(
            "POST", "order", symbol=SYMBOL, side=side, type="LIMIT", timeInForce="IOC",
            quantity=quantity, price=price,
        )  # fmt: skip
        return row


def venue_order(box: BotBox, order_id: object) -> dict[str, Any]:
    """The venue's own row of an order."""
    row: dict[str, Any] = box.sim.signed("GET", "order", symbol=SYMBOL, orderId=order_id)
    return row


def venue_trades(box: BotBox, order_id: object) -> list[dict[str, Any]]:
    """The venue's own rows of an order's trades."""
    rows: list[dict[str, Any]] = box.sim.signed("GET", "myTrades", symbol=SYMBOL, orderId=order_id)
    return rows


def venue_balances(box: BotBox) -> dict[str, list[str]]:
    """Free and locked of each asset, as the venue says."""
    rows = box.sim.signed("GET", "account", omitZeroBalances="true")["balances"]
    return {row["asset"]: [row["free"], row["locked"]] for row in rows}
