"""The life of an order, as a table.

Rules of this file:
1. `TABLE[status, trigger]` is the whole truth. A pair that is not listed is impossible: `advance`
   raises `ImpossibleTransition`, the engine books what is certain and opens an incident.
2. A trigger is what the venue (or its silence, or we) did to one order; money is not decided here.
   Fills are booked by their ExecId before the trigger of their report is looked up.
3. Reports come late, twice and out of order. A report that says less than we know is stale and
   leaves the status as it is; such rows are listed, with the reason.
4. Silence proves nothing: only a definite answer leads out of UNKNOWN (promise P4).
5. `alarm` rows are legal and bad: they are followed, and open an incident.
6. An order is gone only when the venue says so. A row that ends one on our own word stands in
   `ENDS_ON_OUR_WORD` with its reason, and needs that the venue has never shown the order: what
   happens to a cancel, a replace or an amend says nothing of its target's life.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.enums import OrderStatus, VenueOrderStatus
from daemon.model.ids import VenueOrderId

APPROVED = OrderStatus.APPROVED
SUBMITTED = OrderStatus.SUBMITTED
ACCEPTED = OrderStatus.ACCEPTED
PARTIALLY_FILLED = OrderStatus.PARTIALLY_FILLED
FILLED = OrderStatus.FILLED
PENDING_CANCEL = OrderStatus.PENDING_CANCEL
PENDING_REPLACE = OrderStatus.PENDING_REPLACE
CANCELED = OrderStatus.CANCELED
EXPIRED = OrderStatus.EXPIRED
REJECTED = OrderStatus.REJECTED
UNKNOWN = OrderStatus.UNKNOWN


class Trigger(StrEnum):
    """What can happen to an order."""

    SENT = "sent"
    """Its bytes are handed to the session in this turn."""
    NOT_SENT = "not_sent"
    """Proof that the bytes of its placement never left. Of a cancel, a replace or an amend that
    never left, the target hears `CANCEL_REFUSED`, `REPLACE_REFUSED`, or nothing at all."""
    SILENCE = "silence"
    """No trustworthy answer: deadline, lost socket, 5xx, restart."""
    ACK = "ack"
    """The venue says NEW."""
    PARTIAL = "partial"
    """The venue says PARTIALLY_FILLED, or a fill was booked that leaves a rest."""
    FILL = "fill"
    """The venue says FILLED, or the booked fills add up to the whole."""
    CANCEL = "cancel"
    """The venue says CANCELED."""
    EXPIRE = "expire"
    """The venue says EXPIRED (IOC rest, empty book, self-trade prevention)."""
    REJECT = "reject"
    """The venue's definite no."""
    ABSENT = "absent"
    """Proof of absence: asked after the settling time, and the venue knows no such order."""
    WIPE = "wipe"
    """The testnet began anew, and an operator has confirmed it: the order is gone with the rest."""
    CANCEL_SENT = "cancel_sent"
    CANCEL_REFUSED = "cancel_refused"
    """The cancel did nothing, or never left. No proof of the order's state: it is queried."""
    REPLACE_SENT = "replace_sent"
    REPLACE_REFUSED = "replace_refused"
    UNANSWERED = "unanswered"
    """Asked about again and again, and the venue gives no answer that settles it."""
    OPEN_THERE = "open_there"
    """Listed as open in two snapshots asked for after the books had ended it."""


class Row(msgspec.Struct, frozen=True):
    """Where a trigger leads. `note` says why an odd row is right; `alarm` opens an incident."""

    new: OrderStatus
    note: str = ""
    alarm: bool = False


class ImpossibleTransition(Exception):  # noqa: N818 - names the fact, and is always handled
    """A (status, trigger) that the table does not list."""

    def __init__(self, status: OrderStatus, trigger: Trigger) -> None:
        """Name the pair."""
        super().__init__(f"an order that is {status} cannot take {trigger}")
        self.status = status
        self.trigger = trigger


TRIGGER_OF_VENUE_STATUS: dict[VenueOrderStatus, Trigger] = {
    VenueOrderStatus.NEW: Trigger.ACK,
    VenueOrderStatus.PARTIALLY_FILLED: Trigger.PARTIAL,
    VenueOrderStatus.FILLED: Trigger.FILL,
    VenueOrderStatus.CANCELED: Trigger.CANCEL,
    VenueOrderStatus.EXPIRED: Trigger.EXPIRE,
    VenueOrderStatus.REJECTED: Trigger.REJECT,
}
"""UNRECOGNISED has no trigger on purpose: it moves nothing, and is queried."""

_T = Trigger
_SILENCE = Trigger.SILENCE  # a look at a member of an enum costs as much as a call
_LATE = "late fill: traded before the venue took the cancel; quantity is booked, status stays"
_STALE = "stale: we know more than this report"
_AGAIN = "said twice"
_GONE = "gone with everything else"
_MUTE = "asked about twice without an answer that settles it: the worst case counts"
_ALIVE = "ended in the books and open at the venue: held again, to be canceled"
_HOLDS = "the cancel or replace is still on its way; the order stays pending"

TABLE: dict[tuple[OrderStatus, Trigger], Row] = {
    (APPROVED, _T.SENT): Row(SUBMITTED, "in the turn of approval; its line is order_approved"),
    (APPROVED, _T.NOT_SENT): Row(CANCELED, "never left: canceled by us, not rejected by the venue"),
    (APPROVED, _T.SILENCE): Row(UNKNOWN, "a crash between the line and the bytes"),
    # ---------------------------------------------------------------- sent, no answer yet
    (SUBMITTED, _T.ACK): Row(ACCEPTED),
    (SUBMITTED, _T.PARTIAL): Row(PARTIALLY_FILLED, "fill before the acknowledgement"),
    (SUBMITTED, _T.FILL): Row(FILLED, "fill before the acknowledgement"),
    (SUBMITTED, _T.CANCEL): Row(CANCELED, "the acknowledgement was lost or overtaken"),
    (SUBMITTED, _T.EXPIRE): Row(EXPIRED),
    (SUBMITTED, _T.REJECT): Row(REJECTED),
    (SUBMITTED, _T.SILENCE): Row(UNKNOWN, "a timeout is not an answer"),
    (SUBMITTED, _T.NOT_SENT): Row(CANCELED, "never left: canceled by us, not rejected"),
    (SUBMITTED, _T.ABSENT): Row(REJECTED, "asked after the settling time: proof of absence"),
    (SUBMITTED, _T.CANCEL_SENT): Row(PENDING_CANCEL, "the cancel may overtake the answer"),
    (SUBMITTED, _T.CANCEL_REFUSED): Row(SUBMITTED, "the cancel overtook the placement"),
    (SUBMITTED, _T.REPLACE_REFUSED): Row(SUBMITTED, "the replace overtook the placement"),
    # ---------------------------------------------------------------- live at the venue
    (ACCEPTED, _T.ACK): Row(ACCEPTED, _AGAIN),
    (ACCEPTED, _T.PARTIAL): Row(PARTIALLY_FILLED),
    (ACCEPTED, _T.FILL): Row(FILLED),
    (ACCEPTED, _T.CANCEL): Row(CANCELED),
    (ACCEPTED, _T.EXPIRE): Row(EXPIRED),
    (ACCEPTED, _T.SILENCE): Row(ACCEPTED, "the stream has answered already; a lost reply is moot"),
    (ACCEPTED, _T.CANCEL_SENT): Row(PENDING_CANCEL),
    (ACCEPTED, _T.CANCEL_REFUSED): Row(ACCEPTED, "query it"),
    (ACCEPTED, _T.REPLACE_SENT): Row(PENDING_REPLACE),
    (ACCEPTED, _T.REPLACE_REFUSED): Row(ACCEPTED, "query it"),
    (PARTIALLY_FILLED, _T.ACK): Row(PARTIALLY_FILLED, _STALE),
    (PARTIALLY_FILLED, _T.PARTIAL): Row(PARTIALLY_FILLED),
    (PARTIALLY_FILLED, _T.FILL): Row(FILLED),
    (PARTIALLY_FILLED, _T.CANCEL): Row(CANCELED),
    (PARTIALLY_FILLED, _T.EXPIRE): Row(EXPIRED),
    (PARTIALLY_FILLED, _T.SILENCE): Row(PARTIALLY_FILLED, "the stream has answered already"),
    (PARTIALLY_FILLED, _T.CANCEL_SENT): Row(PENDING_CANCEL),
    (PARTIALLY_FILLED, _T.CANCEL_REFUSED): Row(PARTIALLY_FILLED, "query it"),
    (PARTIALLY_FILLED, _T.REPLACE_SENT): Row(PENDING_REPLACE),
    (PARTIALLY_FILLED, _T.REPLACE_REFUSED): Row(PARTIALLY_FILLED, "query it"),
    # ---------------------------------------------------------------- a cancel is on its way
    (PENDING_CANCEL, _T.ACK): Row(PENDING_CANCEL, _HOLDS),
    (PENDING_CANCEL, _T.PARTIAL): Row(PENDING_CANCEL, _HOLDS),
    (PENDING_CANCEL, _T.FILL): Row(FILLED, "the fill won; the cancel will be refused"),
    (PENDING_CANCEL, _T.CANCEL): Row(CANCELED),
    (PENDING_CANCEL, _T.EXPIRE): Row(EXPIRED),
    (PENDING_CANCEL, _T.REJECT): Row(REJECTED, "canceled before the placement's no arrived"),
    (PENDING_CANCEL, _T.SILENCE): Row(UNKNOWN, "the placement itself went unanswered"),
    (PENDING_CANCEL, _T.NOT_SENT): Row(CANCELED, "the placement never left"),
    (PENDING_CANCEL, _T.ABSENT): Row(REJECTED, "the placement never arrived, proven"),
    (PENDING_CANCEL, _T.CANCEL_SENT): Row(PENDING_CANCEL, "asked again after a query"),
    (PENDING_CANCEL, _T.CANCEL_REFUSED): Row(ACCEPTED, "query it: filled, gone, or still there"),
    (PENDING_CANCEL, _T.REPLACE_REFUSED): Row(PENDING_CANCEL, "the cancel is still on its way"),
    (PENDING_REPLACE, _T.ACK): Row(PENDING_REPLACE, _HOLDS),
    (PENDING_REPLACE, _T.PARTIAL): Row(PENDING_REPLACE, _HOLDS),
    (PENDING_REPLACE, _T.FILL): Row(FILLED, "the fill won; the replace will be refused"),
    (PENDING_REPLACE, _T.CANCEL): Row(CANCELED, "replaced: the venue cancels the old order"),
    (PENDING_REPLACE, _T.EXPIRE): Row(EXPIRED),
    (PENDING_REPLACE, _T.REJECT): Row(REJECTED),
    (PENDING_REPLACE, _T.SILENCE): Row(UNKNOWN, "the placement itself went unanswered"),
    (PENDING_REPLACE, _T.CANCEL_SENT): Row(PENDING_CANCEL, "a stop does not wait for a replace"),
    (PENDING_REPLACE, _T.CANCEL_REFUSED): Row(ACCEPTED, "query it"),
    (PENDING_REPLACE, _T.REPLACE_REFUSED): Row(ACCEPTED, "query it"),
    # ---------------------------------------------------------------- neither yes nor no
    (UNKNOWN, _T.ACK): Row(ACCEPTED, "found"),
    (UNKNOWN, _T.PARTIAL): Row(PARTIALLY_FILLED, "found"),
    (UNKNOWN, _T.FILL): Row(FILLED, "found"),
    (UNKNOWN, _T.CANCEL): Row(CANCELED, "found"),
    (UNKNOWN, _T.EXPIRE): Row(EXPIRED, "found"),
    (UNKNOWN, _T.REJECT): Row(REJECTED, "the definite no arrived after the deadline"),
    (UNKNOWN, _T.SILENCE): Row(UNKNOWN, "still no answer"),
    (UNKNOWN, _T.NOT_SENT): Row(CANCELED, "proof arrived that it never left"),
    (UNKNOWN, _T.ABSENT): Row(REJECTED, "only on proof of absence"),
    (UNKNOWN, _T.CANCEL_SENT): Row(UNKNOWN, "a cancel may be tried; it settles nothing by itself"),
    (UNKNOWN, _T.CANCEL_REFUSED): Row(UNKNOWN, "-2011 is no proof of anything"),
    (UNKNOWN, _T.REPLACE_REFUSED): Row(UNKNOWN, "no proof of anything"),
    # ---------------------------------------------------------------- asked, and no answer
    (SUBMITTED, _T.UNANSWERED): Row(UNKNOWN, _MUTE),
    (ACCEPTED, _T.UNANSWERED): Row(UNKNOWN, _MUTE),
    (PARTIALLY_FILLED, _T.UNANSWERED): Row(UNKNOWN, _MUTE),
    (PENDING_CANCEL, _T.UNANSWERED): Row(UNKNOWN, _MUTE),
    (PENDING_REPLACE, _T.UNANSWERED): Row(UNKNOWN, _MUTE),
    (UNKNOWN, _T.UNANSWERED): Row(UNKNOWN, _MUTE),
    (FILLED, _T.UNANSWERED): Row(FILLED, "its end is known; fills are owed and asked for"),
    (CANCELED, _T.UNANSWERED): Row(CANCELED, "its end is known; fills are owed and asked for"),
    (EXPIRED, _T.UNANSWERED): Row(EXPIRED, "its end is known; fills are owed and asked for"),
    (REJECTED, _T.UNANSWERED): Row(REJECTED, "its end is known; fills are owed and asked for"),
    # ---------------------------------------------------------------- ended here, open there
    (FILLED, _T.OPEN_THERE): Row(ACCEPTED, _ALIVE, alarm=True),
    (CANCELED, _T.OPEN_THERE): Row(ACCEPTED, _ALIVE, alarm=True),
    (EXPIRED, _T.OPEN_THERE): Row(ACCEPTED, _ALIVE, alarm=True),
    (REJECTED, _T.OPEN_THERE): Row(ACCEPTED, _ALIVE, alarm=True),
    # ---------------------------------------------------------------- a testnet wipe, confirmed
    (SUBMITTED, _T.WIPE): Row(CANCELED, _GONE),
    (ACCEPTED, _T.WIPE): Row(CANCELED, _GONE),
    (PARTIALLY_FILLED, _T.WIPE): Row(CANCELED, _GONE),
    (PENDING_CANCEL, _T.WIPE): Row(CANCELED, _GONE),
    (PENDING_REPLACE, _T.WIPE): Row(CANCELED, _GONE),
    (UNKNOWN, _T.WIPE): Row(CANCELED, _GONE),
    # ---------------------------------------------------------------- finished; the venue may lag
    (FILLED, _T.ACK): Row(FILLED, _STALE),
    (FILLED, _T.PARTIAL): Row(FILLED, _STALE),
    (FILLED, _T.FILL): Row(FILLED, _AGAIN),
    (FILLED, _T.CANCEL): Row(FILLED, "overtaken: all of it is traded, nothing was left to cancel"),
    (FILLED, _T.SILENCE): Row(FILLED, "the stream has answered already"),
    (FILLED, _T.CANCEL_REFUSED): Row(FILLED, "cancel refused because already filled"),
    (FILLED, _T.REPLACE_REFUSED): Row(FILLED, "replace refused because already filled"),
    (CANCELED, _T.ACK): Row(CANCELED, _STALE),
    (CANCELED, _T.PARTIAL): Row(CANCELED, _LATE),
    (CANCELED, _T.FILL): Row(FILLED, "late fills add up to the whole: nothing was canceled"),
    (CANCELED, _T.CANCEL): Row(CANCELED, _AGAIN),
    (CANCELED, _T.SILENCE): Row(CANCELED, "the stream has answered already"),
    (CANCELED, _T.CANCEL_REFUSED): Row(CANCELED, "canceled twice, refused once"),
    (CANCELED, _T.REPLACE_REFUSED): Row(CANCELED, "gone before the replace came"),
    (EXPIRED, _T.ACK): Row(EXPIRED, _STALE),
    (EXPIRED, _T.PARTIAL): Row(EXPIRED, _LATE),
    (EXPIRED, _T.FILL): Row(FILLED, "late fills add up to the whole: nothing expired"),
    (EXPIRED, _T.EXPIRE): Row(EXPIRED, _AGAIN),
    (EXPIRED, _T.SILENCE): Row(EXPIRED, "the stream has answered already"),
    (EXPIRED, _T.CANCEL_REFUSED): Row(EXPIRED, "expired before the cancel came"),
    (EXPIRED, _T.REPLACE_REFUSED): Row(EXPIRED, "expired before the replace came"),
    (REJECTED, _T.REJECT): Row(REJECTED, _AGAIN),
    (REJECTED, _T.ABSENT): Row(REJECTED, _AGAIN),
    (REJECTED, _T.SILENCE): Row(REJECTED, "the definite no stands"),
    (REJECTED, _T.CANCEL_REFUSED): Row(REJECTED, "nothing was there to cancel"),
    (REJECTED, _T.REPLACE_REFUSED): Row(REJECTED, "nothing was there to replace"),
    (REJECTED, _T.ACK): Row(ACCEPTED, "it lives after a no or a proof of absence", alarm=True),
    (REJECTED, _T.PARTIAL): Row(PARTIALLY_FILLED, "it trades after a no", alarm=True),
    (REJECTED, _T.FILL): Row(FILLED, "it traded after a no", alarm=True),
    (REJECTED, _T.CANCEL): Row(CANCELED, "it existed after a no", alarm=True),
    (REJECTED, _T.EXPIRE): Row(EXPIRED, "it existed after a no", alarm=True),
}


OWN_WORD = frozenset(
    {
        Trigger.SENT,
        Trigger.NOT_SENT,
        Trigger.SILENCE,
        Trigger.ABSENT,
        Trigger.WIPE,
        Trigger.CANCEL_SENT,
        Trigger.CANCEL_REFUSED,
        Trigger.REPLACE_SENT,
        Trigger.REPLACE_REFUSED,
        Trigger.UNANSWERED,
    }
)
"""Triggers that are not the venue's word on the life of the order. A new trigger is one of them
or has a venue status; a test asks (tests/unit/core/test_gone_only_when_the_venue_says.py)."""

_NEVER_LEFT = "its own placement never left, so the venue cannot have it"
_NEVER_THERE = "the venue, asked after it could last have taken the request, knows no such order"
_NEW_VENUE = "the venue began anew, seen in two snapshots, and a human has confirmed it"
ENDS_ON_OUR_WORD: dict[tuple[OrderStatus, Trigger], str] = {
    (APPROVED, _T.NOT_SENT): _NEVER_LEFT,
    (SUBMITTED, _T.NOT_SENT): _NEVER_LEFT,
    (PENDING_CANCEL, _T.NOT_SENT): _NEVER_LEFT,
    (UNKNOWN, _T.NOT_SENT): _NEVER_LEFT,
    (SUBMITTED, _T.ABSENT): _NEVER_THERE,
    (PENDING_CANCEL, _T.ABSENT): _NEVER_THERE,
    (UNKNOWN, _T.ABSENT): _NEVER_THERE,
    (SUBMITTED, _T.WIPE): _NEW_VENUE,
    (ACCEPTED, _T.WIPE): _NEW_VENUE,
    (PARTIALLY_FILLED, _T.WIPE): _NEW_VENUE,
    (PENDING_CANCEL, _T.WIPE): _NEW_VENUE,
    (PENDING_REPLACE, _T.WIPE): _NEW_VENUE,
    (UNKNOWN, _T.WIPE): _NEW_VENUE,
}
"""Every row that ends an order without the venue's word, and why that is right."""
_ONLY_NEVER_SHOWN = (Trigger.NOT_SENT, Trigger.ABSENT)
_REFUSALS = (Trigger.CANCEL_REFUSED, Trigger.REPLACE_REFUSED)


def advance(
    status: OrderStatus, trigger: Trigger, venue_order_id: VenueOrderId | None, cum_qty: Decimal
) -> Row:
    """Look one step up, for an order of this status, venue order id and booked quantity.

    With a venue order id the venue has shown that it knows the order. Both tell apart what one
    pending status stands for: a refused cancel leads back to where the order was, and silence says
    nothing new of an order that the venue has shown.

    Raises:
        ImpossibleTransition: the pair is not listed, or an order that the venue has shown would be
            one that never was.
    """
    row = TABLE.get((status, trigger))
    if row is None or (
        trigger in _ONLY_NEVER_SHOWN and (venue_order_id is not None or cum_qty > ZERO)
    ):
        raise ImpossibleTransition(status, trigger)
    if trigger is _SILENCE and venue_order_id is not None and status is not UNKNOWN:
        return Row(status, "the stream has answered already")
    if row.new is not ACCEPTED:
        return row
    if cum_qty > ZERO:
        return Row(PARTIALLY_FILLED, row.note, row.alarm)
    if venue_order_id is None and trigger in _REFUSALS:
        return Row(SUBMITTED, "refused before the placement was answered", row.alarm)
    return row
