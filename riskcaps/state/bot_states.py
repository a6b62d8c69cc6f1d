"""Whose order it is, and the state of each bot that has caps of its own.

Rules of this file:
1. A bot's state is made of the facts of its own orders alone; the account's state hears of all.
2. An owner is remembered beyond the end of the order: a fill may come after it.
"""

from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Generic, TypeVar

from daemon.model.copies import replace
from daemon.model.ids import ClientOrderId
from riskcaps.state.alerts import Notices
from riskcaps.words.capset import CapSet
from riskcaps.words.order_kinds import bot_of

OWNERS_KEPT = 10_000
S = TypeVar("S")


class BotStates(Generic[S]):
    """States by bot, and bots by order."""

    def __init__(
        self,
        make: Callable[[CapSet], S],
        give: Callable[[S, CapSet], None],
        tell: Callable[[Notices], None],
    ) -> None:
        """`make` a state with its caps; `give` one other caps; `tell` what fell due of a bot's."""
        self.by_name: dict[str, S] = {}
        self.owners: OrderedDict[ClientOrderId, str] = OrderedDict()
        self.is_leaf = False
        """These are a bot's own: all orders are its, and none is noted."""
        self._make, self._give, self._tell = make, give, tell

    def set_caps(self, capset: CapSet) -> None:
        """The bots' tables of this run."""
        for name in capset.bots:
            caps = capset.for_bot(name)
            if caps is None:
                continue
            if name in self.by_name:
                self._give(self.by_name[name], caps)
            else:
                self.by_name[name] = self._make(caps)

    def own(
        self,
        client_order_id: ClientOrderId,
        strategy_id: str,
        open_orders: Container[ClientOrderId],
    ) -> S | None:
        """Note whose order it is; the state of its bot, where that has caps of its own."""
        bot = bot_of(strategy_id)
        if self.is_leaf or not bot:
            return None
        self.owners[client_order_id] = bot
        if len(self.owners) > OWNERS_KEPT:
            ended = next((one for one in self.owners if one not in open_orders), None)
            if ended is not None:
                del self.owners[ended]
        return self.by_name.get(bot)

    def hear(self, client_order_id: ClientOrderId, notices: Notices) -> None:
        """Tell what a fact of an order brought about its bot's caps, with the bot's name."""
        if notices:
            bot = self.owners[client_order_id]
            self._tell(tuple(replace(notice, bot=bot) for notice in notices))

    def of(self, client_order_id: ClientOrderId) -> S | None:
        """The state that an order belongs to; None: to no bot, or to one without caps."""
        bot = self.owners.get(client_order_id)
        return None if bot is None else self.by_name.get(bot)
