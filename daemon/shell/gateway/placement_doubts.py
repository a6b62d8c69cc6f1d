"""Placements that the engine has not answered yet, by the ids that bots gave them.

Until then an order under such an id is in doubt, not absent: a query says -1007.
"""

from collections.abc import Callable, Mapping

import msgspec

from daemon.model.bots import BotOrderRow
from daemon.model.ids import ClientOrderId
from daemon.shell.gateway.views import is_ended


class _Doubt(msgspec.Struct):
    """Placements under one id that have no answer yet."""

    before: ClientOrderId | None
    """Our id of the order that bore it before them."""
    placements: int = 0


class PlacementDoubts:
    """Lives on the gateway's loop."""

    def __init__(self) -> None:
        """Nothing is in doubt."""
        self._of: dict[tuple[str, str], _Doubt] = {}

    def begin(self, bot: str, ids: Mapping[str, ClientOrderId | None]) -> Callable[[], None]:
        """Placements under these ids begin; what comes back is called when they are answered.

        `ids`: each with our id of the order that bore it before; None: none did.
        """
        doubts = {(bot, name): before for name, before in ids.items()}
        for key, before in doubts.items():
            self._of.setdefault(key, _Doubt(before)).placements += 1

        def settle() -> None:
            for key in doubts:
                doubt = self._of[key]
                doubt.placements -= 1
                if not doubt.placements:
                    del self._of[key]

        return settle

    def has(self, bot: str, name: str) -> bool:
        """Whether a placement under this id has no answer yet."""
        return (bot, name) in self._of

    def may_be_newer(self, bot: str, found: BotOrderRow) -> bool:
        """Whether a newer order than this one may exist under the same id of the bot."""
        doubt = self._of.get((bot, found.client_order_id))
        return doubt is not None and doubt.before == found.own_id and is_ended(found)


def list_name(list_id: str) -> str:
    """A list's id among those of orders: no client may send a colon in one."""
    return f"list:{list_id}"
