"""Bots: whether each order came from the bot that asked for it, and how each bot fared.

Rules of this file:
1. Each approved line of a bot has one request before it, of the same bot, symbol, side, type, price
   and quantity; what was cut was cut by a rule, which the decision states and `recheck` decides.
2. Each request to place ended in exactly one line: approved, denied or refused; of a list each
   order did, up to the first that was not approved. A request that has none was denied, and
   somebody took the denial away; only the last of a run may have been cut off with the process.
3. A signed request must be the registered key's; without a signature it is attested by us alone,
   and counted so.
4. Money per bot is counted here again, from the fills of its own orders.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from evidence.folds.account_models import pairs_of
from evidence.folds.histogram import Histogram
from evidence.folds.journal_fold import ComparingFold, Handler, Recent
from evidence.folds.position_fold import Holding
from evidence.read.bot_lines import (
    BotAnsweredLine,
    BotInputLine,
    BotRefusedLine,
    BotSwitchedLine,
    BotThrottledLine,
)
from evidence.read.exact_amounts import AmountTextError, amount, amount_or_zero, text_of
from evidence.read.journal_lines import (
    FillLine,
    HeartbeatLine,
    InstrumentsLine,
    JournalLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderRejectLine,
    OrderStateLine,
    ReconciledLine,
    RunStartLine,
    RunStopLine,
    SessionStartLine,
    SessionStopLine,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PREFIX = "bot:"
LET_IN = frozenset({"active", "gone"})
"""States of a bot that may place; one that is gone is back with its next order."""
STOP_TYPES = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
PLACES, REPLACES, LISTS = "BotPlace", "BotReplace", "BotPlaceList"
_CHECKED = ("instrument_id", "side", "order_type")


class BotRequestSeen(msgspec.Struct):
    """A request to place that waits for its line."""

    bot: str
    places: list[Mapping[str, Any]]
    """The orders that it asks for and that have no line yet: one, or those of a list."""
    seq: int
    ts_ns: int
    list_id: str = ""
    """The bot's own id of the list that it asks for; empty: it asks for no list."""
    first: Mapping[str, Any] | None = None
    """The order that the others of the list are pending behind."""


class Bot(msgspec.Struct):
    """One bot, from its own lines."""

    requests: int = 0
    proven: int = 0
    attested: int = 0
    orders: int = 0
    filled: set[str] = set()
    fills: int = 0
    rejects: int = 0
    denied: dict[str, int] = {}
    refused: dict[str, int] = {}
    throttled: int = 0
    states: list[str] = []
    waits: Histogram = msgspec.field(default_factory=Histogram)
    """Nanoseconds from the line of a request to that of its answer, the venue's share included."""
    holdings: dict[str, Holding] = {}

    def plain(self) -> dict[str, Any]:
        """Its row of the report."""
        return {
            "requests": self.requests,
            "proven": self.proven,
            "attested": self.attested,
            "orders": self.orders,
            "orders_filled": len(self.filled),
            "fill_percent": 100 * len(self.filled) // self.orders if self.orders else 0,
            "fills": self.fills,
            "venue_rejects": self.rejects,
            "denied": dict(sorted(self.denied.items())),
            "refused": dict(sorted(self.refused.items())),
            "throttled": self.throttled,
            "states": self.states,
            "answer_ns": self.waits.plain(),
            "positions": {
                symbol: {
                    "qty": text_of(one.qty),
                    "realised": text_of(round(one.realised, 18)),
                    "fees": {asset: text_of(fee) for asset, fee in sorted(one.fees.items())},
                }
                for symbol, one in sorted(self.holdings.items())
            },
        }


ASKED_KEPT = 20_000
"""Of so many requests it is known when they came."""


class BotsFold(ComparingFold):
    """Requests against lines, lines against requests, and each bot's own account."""

    name = "bots"

    def __init__(self) -> None:
        self.bots: dict[str, Bot] = {}
        super().__init__()
        self._open: dict[int, BotRequestSeen] = {}
        self._asked_ns: OrderedDict[int, tuple[int, object]] = OrderedDict()
        """When the requests of this run came that have no answer yet."""
        self._ended: set[int] = set()
        """Requests of this run that have their line."""
        self._owners: dict[str, str] = {}
        self._named: set[str] = set()
        """Bots of the last session's start."""
        self._is_whole = False
        self._covers = False
        """Whether decisions of this journal state what comes before an order that is pending."""
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._shut: dict[str, str] = {}
        """The state in which a bot may not place; empty: it may."""
        self._reduces: dict[str, bool] = {}
        """Whether a bot's stops only reduce, as its session's line says."""
        self._pairs: dict[str, tuple[str, str]] = {}
        self._seen = Recent()

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Requests, the lines that end them, and what became of the orders."""
        return {
            RunStartLine: self._run_start,
            SessionStartLine: self._session_start,
            InstrumentsLine: lambda line: self._pairs.update(pairs_of(line)),
            BotInputLine: self._input,
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._denied,
            BotRefusedLine: self._refused,
            BotAnsweredLine: self._answered,
            BotSwitchedLine: self._switched,
            BotThrottledLine: self._throttled,
            FillLine: self._fill,
            OrderRejectLine: self._reject,
            ReconciledLine: self._reconciled,
            OrderStateLine: self._later,
            HeartbeatLine: self._later,
            SessionStopLine: self._later,
            RunStopLine: self._later,
        }

    def _bot(self, name: str) -> Bot:
        return self.bots.setdefault(name, Bot())

    # ------------------------------------------------------------------ runs and keys
    def _run_start(self, record: RunStartLine) -> None:
        self._is_whole = self._is_whole or record.seq == 1
        self._open.clear()  # the last request of a run may have been cut off with the process
        self._asked_ns.clear()
        self._ended.clear()

    def _session_start(self, record: SessionStartLine) -> None:
        self._named = {
            str(spec.get("name"))
            for spec in (record.bots if isinstance(record.bots, list) else [])
            if isinstance(spec, dict)
        }
        for spec in record.bots if isinstance(record.bots, list) else []:
            if isinstance(spec, dict) and isinstance(spec.get("name"), str):
                self._bot(spec["name"])
                if isinstance(told := spec.get("stops_reduce_only"), bool):
                    self._reduces[spec["name"]] = told
                from evidence.read.bot_proofs import public_key_of  # noqa: PLC0415 - bots alone

                key = public_key_of(spec.get("public_key"))
                known = self._keys.get(spec["name"])
                if key is not None:
                    self._keys[spec["name"]] = key
                elif known is not None:
                    self.note("key_withdrawn", record, f"{spec['name']} has no key any more")

    # ------------------------------------------------------------------ requests
    def _input(self, record: BotInputLine) -> None:
        self._later(record)
        kind, request = record.input.get("type"), record.input.get("request")
        if type(request) is int:
            self._asked_ns[request] = record.ts_ns, record.input.get("bot")
            if len(self._asked_ns) > ASKED_KEPT:
                self._asked_ns.popitem(last=False)
        if kind not in (PLACES, REPLACES, LISTS):
            return
        places = places_of(str(kind), record.input)
        name = record.input.get("bot")
        if not places or not isinstance(name, str) or type(request) is not int:
            self.note("request_unreadable", record, "a request that names no bot or no order")
            return
        bot = self._bot(name)
        bot.requests += 1
        if request in self._open or request in self._ended:
            self.note("request_twice", record, f"request {request} stands twice")
        if kind != PLACES or not places[0].get("is_test"):  # a replace or a list is never a test
            list_id = str(record.input.get("list_id", "")) if kind == LISTS else ""
            is_oto = kind == LISTS and record.input.get("contingency") == "OTO"
            first = places[0] if is_oto else None
            asked = BotRequestSeen(name, places, record.seq, record.ts_ns, list_id, first)
            self._open[request] = asked
        proof, key = places[0].get("proof"), self._keys.get(name)
        if not proof or key is None:  # before the first session no key is told, and nothing leaves
            bot.attested += 1
            return
        from evidence.read.bot_proofs import wrong_with, wrong_with_list  # noqa: PLC0415

        if kind == LISTS:
            wrong = wrong_with_list(str(proof), record.input, key)
        else:
            wrong = wrong_with(str(proof), places[0], key)
        if wrong:
            self.note("proof", record, f"request {request} of {name}: {wrong}")
        else:
            bot.proven += 1

    def _later(self, record: JournalLine) -> None:
        """Something that is no part of the turn of an open request: that turn is over."""
        for request, asked in [*self._open.items()]:
            if record.seq > asked.seq and not self._may_be_turn(record, asked):
                what = f"request {request} of {asked.bot} ended in no line: a denial is absent"
                self.note("request_without_end", asked, what)
                del self._open[request]
                self._ended.add(request)

    @staticmethod
    def _may_be_turn(record: JournalLine, asked: BotRequestSeen) -> bool:
        """Lines of one turn carry one time; an input begins another turn whatever its time."""
        return record.ts_ns == asked.ts_ns and not isinstance(record, BotInputLine)

    def _end(
        self, record: JournalLine, owner: object, what: str, *, listed: object = None
    ) -> Mapping[str, Any] | None:
        """The wish that a line answers; what is wrong with that is noted.

        `listed`: the place of its order in a list, as the line states it.
        """
        if not isinstance(owner, dict):
            self.note("owner_absent", record, f"{what} of a bot without its request")
            return None
        request = owner.get("request")
        asked = self._open.get(request) if type(request) is int else None
        if asked is None or type(request) is not int:
            kind = "ended_twice" if request in self._ended else "never_asked"
            self.note(kind, record, f"{what} names request {request}, which is not open")
            return None
        own_id, place = owner.get("client_order_id"), asked.places[0]
        if asked.list_id and what != "refused":
            named = [one for one in asked.places if one.get("client_order_id") == own_id]
            place = named[0] if named else place
            said = listed.get("bot_list_id") if isinstance(listed, dict) else None
            if said != asked.list_id:
                text = f"asked for list {asked.list_id}, {what} for {said}"
                self.note("list_differs", record, text)
        elif listed is not None:
            self.note("list_differs", record, f"{what} in a list that nobody asked for")
        if isinstance(record, OrderApprovedLine | OrderDeniedLine):
            self._hold_cover(record, asked.first, place)
        if isinstance(record, OrderApprovedLine):
            self._hold_reduce_only(record, asked.bot)
        theirs = asked.list_id if asked.list_id and what == "refused" else None
        if own_id != (theirs or place.get("client_order_id")):
            asked_as = theirs or place.get("client_order_id")
            self.note("ids_differ", record, f"asked as {asked_as}, {what} as {owner}")
        if owner.get("bot") != asked.bot:
            self.note("owner_differs", record, f"asked by {asked.bot}, {what} for {owner}")
        asked.places.remove(place)
        if what != "approved" or not asked.places:
            del self._open[request]
            self._ended.add(request)
            self.checked += 1
        return place

    def _hold_cover(
        self,
        record: OrderApprovedLine | OrderDeniedLine,
        first: Mapping[str, Any] | None,
        place: Mapping[str, Any],
    ) -> None:
        """What a decision counts as there before its order works is what its list asked for."""
        if "position" not in record.decision:
            return  # it was denied before
        brings, stated = None, record.decision.get("cover")
        if first is not None and place is not first:
            brings = "0" if first.get("side") == place.get("side") else first.get("qty")
        self._covers = self._covers or stated is not None
        if self._covers and not _is_same(brings, stated):  # older builds stated none
            self.note("cover_differs", record, f"{brings} comes before, {stated} decided")

    def _hold_reduce_only(self, record: OrderApprovedLine, bot: str) -> None:
        """Stops only reduce where the session's line says so of the bot, and nothing else does."""
        told = self._reduces.get(bot)
        if told is not None and record.reduce_only != (told and record.order_type in STOP_TYPES):
            text = f"{record.order_type} with reduce_only {record.reduce_only}: the session's line "
            self.note("reduce_only_differs", record, f"{text}says stops_reduce_only {told}")

    # ------------------------------------------------------------------ lines
    def _approved(self, record: OrderApprovedLine) -> None:
        name = self._name_of(record, record.owner)
        if name is None:
            return
        if state := self._shut.get(name):
            self.note("order_of_shut_out", record, f"an order of {name}, which is {state}")
        bot = self._bot(name)
        bot.orders += 1
        self._owners[record.client_order_id] = name
        place = self._end(record, record.owner, "approved", listed=record.order_list)
        if place is not None:
            self._hold(record, place, terms=record.terms)

    def _denied(self, record: OrderDeniedLine) -> None:
        name = self._name_of(record, record.owner)
        if name is None:
            return
        denied = self._bot(name).denied
        denied[record.deny_reason] = denied.get(record.deny_reason, 0) + 1
        place = self._end(record, record.owner, "denied", listed=record.order_list)
        if place is not None:
            self._hold(record, place, terms=None)

    def _refused(self, record: BotRefusedLine) -> None:
        refused = self._bot(record.bot).refused
        refused[record.refusal] = refused.get(record.refusal, 0) + 1
        if record.request in self._open:
            owner = {
                "bot": record.bot,
                "request": record.request,
                "client_order_id": record.client_order_id,
            }
            self._end(record, owner, "refused")

    def _name_of(self, record: OrderApprovedLine | OrderDeniedLine, owner: object) -> str | None:
        """The bot of a line; None: it is no bot's."""
        is_bots = record.strategy_id.startswith(PREFIX)
        name = record.strategy_id.removeprefix(PREFIX)
        if is_bots and name not in self._named and isinstance(record, OrderApprovedLine):
            self.note("not_named", record, f"bot {name} is not among those of the session's start")
        if isinstance(owner, dict) and (not is_bots or owner.get("bot") != name):
            what = f"strategy {record.strategy_id}, owner {owner.get('bot')}"
            self.note("owner_differs", record, what)
        return name if is_bots else None

    def _hold(
        self,
        record: OrderApprovedLine | OrderDeniedLine,
        place: Mapping[str, Any],
        *,
        terms: object,
    ) -> None:
        """Hold a line against its request, amount by amount."""
        for name in _CHECKED:
            if getattr(record, name) != place.get(name):
                what = f"{name} {place.get(name)} asked for, {getattr(record, name)} decided"
                self.note("order_differs", record, what)
        wanted = {"price": (place.get("price"), record.price)}
        quote_qty = place.get("quote_qty")
        if quote_qty is None:
            wanted["quantity"] = (place.get("qty"), record.decision.get("qty", record.qty))
        elif isinstance(record, OrderApprovedLine):
            stated = terms.get("quote_qty") if isinstance(terms, dict) else None
            wanted["quantity in quote"] = (quote_qty, stated)
        for what, (theirs, ours) in wanted.items():
            if not _is_same(theirs, ours):
                text = f"{what} {theirs} asked for, {ours} decided"
                self.note("order_differs", record, text)

    def _answered(self, record: BotAnsweredLine) -> None:
        asked_ns, bot = self._asked_ns.pop(record.request, (None, record.bot))
        if bot != record.bot:
            what = f"request {record.request} is {bot}'s, and {record.bot} was answered"
            self.note("owner_differs", record, what)
        if asked_ns is not None and record.wait_ns != record.ts_ns - asked_ns:
            what = f"{record.bot} waited {record.wait_ns} ns as stated, "
            self.note("wait_differs", record, f"{what}{record.ts_ns - asked_ns} by the lines")
        if record.kind in ("place", "place_list"):
            self._bot(record.bot).waits.add(record.wait_ns)
        for one in record.orders:
            cid = str(one.get("client_order_id"))
            owner = self._owners.get(cid)
            if owner != record.bot and (owner is not None or self._is_whole):
                whose = f"{owner}'s" if owner else "nobody's"
                self.note("told_of_another", record, f"{record.bot} was told of {whose} {cid}")

    def _switched(self, record: BotSwitchedLine) -> None:
        self._bot(record.bot).states.append(f"{record.state} by {record.by}: {record.reason}")
        del self._bot(record.bot).states[:-20]
        self._shut[record.bot] = "" if record.state in LET_IN else record.state

    def _throttled(self, record: BotThrottledLine) -> None:
        self._bot(record.bot).throttled += record.count

    # ------------------------------------------------------------------ money
    def _fill(self, record: FillLine) -> None:
        name = self._owners.get(record.client_order_id)
        if name is None or not self._seen.is_new(record.exec_id):
            return
        bot = self._bot(name)
        bot.fills += 1
        bot.filled.add(record.client_order_id)
        base, quote = self._pairs.get(record.symbol, ("", ""))
        holding = bot.holdings.setdefault(
            record.symbol, Holding(record.symbol, base=base, quote=quote)
        )
        try:
            qty, price = amount(record.qty), amount(record.price)
            fee = amount_or_zero(record.fee)
            holding.trade(is_buy=record.side == "BUY", qty=qty, price=price)
            if fee:
                holding.pay(fee, record.fee_asset or "")
        except (AmountTextError, ArithmeticError):
            return  # counted by the orders fold

    def _reject(self, record: OrderRejectLine) -> None:
        name = self._owners.get(record.client_order_id)
        if name is not None:
            self._bot(name).rejects += 1

    def _reconciled(self, record: ReconciledLine) -> None:
        self._later(record)
        if any("wipe" in str(one.get("class")) for one in record.differences):
            for bot in self.bots.values():
                bot.holdings.clear()

    # ------------------------------------------------------------------ result
    def result(self) -> dict[str, Any]:
        """Each bot, and what is wrong; empty where no bot was ever heard of."""
        if not self.bots and not self.problems.counts:
            return {}
        return {
            "requests_checked": self.checked,
            "bots": {name: bot.plain() for name, bot in sorted(self.bots.items())},
            "problems": self.problems.plain(),
        }


def _is_same(asked: object, decided: object) -> bool:
    """Whether two texts are one amount, or both absent."""
    if asked is None or decided is None:
        return asked is decided
    try:
        return amount(asked) == amount(decided)
    except AmountTextError:
        return str(asked) == str(decided)


def places_of(kind: str, asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The orders that a request asks for; empty where it is not readable."""
    found = {PLACES: [asked], REPLACES: [asked.get("place")], LISTS: asked.get("orders")}[kind]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return []
    return [*found]
