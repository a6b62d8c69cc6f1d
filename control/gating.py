"""Whether orders may reach a host where money is real: five keys, each of which alone refuses.

Rules of this file:
1. Pure: no clock, no randomness, no I/O. Times are arguments, token texts too.
2. Boot state is BRAKED. What is not in `TRANSITIONS` does not happen.
3. A live host takes orders only in OPEN, and only while every key still fits: enabled, armed, a
   valid promotion for this binding, a confirm token redeemed for it, caps within the pilot's.
4. A token is single use, expires, is bound to config + caps + account + host; its digest is kept.
5. On sim and testnet no key is asked for, and the decision says so.
"""

import hashlib
from collections import OrderedDict
from enum import StrEnum, auto

import msgspec

from daemon.model.amounts import NS_PER_S
from daemon.model.copies import replace
from daemon.model.enums import Mode

TOKEN_LIFE_NS = 300 * NS_PER_S
TOKENS_MAX = 8
WRONG_TOKENS_MAX = 5


class GatingState(StrEnum):
    """The states of the gate to a live host."""

    BRAKED = "BRAKED"
    ENABLED = "ENABLED"
    ARMED = "ARMED"
    OPEN = "OPEN"


class GatingEvent(StrEnum):
    """The events that change the state."""

    ENABLE = "enable"
    DISABLE = "disable"
    ARM = "arm"
    DISARM = "disarm"
    CONFIRM = "confirm"
    END = "end"
    """A halt, a kill, the end of the session, a changed binding: the token is spent."""


S, E = GatingState, GatingEvent
TRANSITIONS: dict[tuple[GatingState, GatingEvent], GatingState] = {
    (S.BRAKED, E.ENABLE): S.ENABLED,
    (S.ENABLED, E.ARM): S.ARMED,
    (S.ARMED, E.CONFIRM): S.OPEN,  # guarded: see Gating.confirm
    (S.OPEN, E.END): S.ARMED,
    (S.OPEN, E.DISARM): S.ENABLED,
    (S.ARMED, E.DISARM): S.ENABLED,
    (S.OPEN, E.DISABLE): S.BRAKED,
    (S.ARMED, E.DISABLE): S.BRAKED,
    (S.ENABLED, E.DISABLE): S.BRAKED,
}
"""Up one step at a time; down at once."""


class GatingRefusal(StrEnum):
    """Why no order may leave; a closed list."""

    NOT_ENABLED = auto()
    NOT_ARMED = auto()
    DRY_RUN = auto()
    PROMOTION_MISSING = auto()
    PROMOTION_UNSIGNED = auto()
    PROMOTION_EXPIRED = auto()
    PROMOTION_MISMATCH = auto()
    CAPS_ABOVE_PILOT = auto()
    TOKEN_MISSING = auto()
    TOKEN_WRONG = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_REUSED = auto()
    TOKEN_MISMATCH = auto()
    ILLEGAL_STEP = auto()


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """What a promotion or a token is valid for: all four values must match."""

    config_hash: str
    caps_hash: str
    account: str
    host: str

    @property
    def digest(self) -> str:
        """One hash over the four, unambiguous in their lengths."""
        made = hashlib.sha256(b"seatrial-binding")
        for part in (self.config_hash, self.caps_hash, self.account, self.host):
            raw = part.encode()
            made.update(len(raw).to_bytes(8, "big") + raw)
        return made.hexdigest()


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion record as it was read; whoever read it has checked the signature."""

    config_hash: str
    caps_hash: str
    account: str
    expires_ns: int
    signature_valid: bool


class GatingDecision(msgspec.Struct, frozen=True):
    """Whether orders may leave: `refusals` has all reasons against, `note` what was not asked."""

    allowed: bool
    refusals: tuple[GatingRefusal, ...] = ()
    note: str = ""


class _Token(msgspec.Struct, frozen=True):
    binding_digest: str
    expires_ns: int
    used: bool = False


class TokenBook:
    """Confirm tokens that were issued, as digests."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, _Token] = OrderedDict()
        self._wrong = 0

    def issue(self, text: str, binding: Binding, now_ns: int) -> str:
        """Register a new token (from a cryptographic source); returns its digest."""
        digest = token_digest(text)
        self._tokens[digest] = _Token(binding.digest, now_ns + TOKEN_LIFE_NS)
        while len(self._tokens) > TOKENS_MAX:
            self._tokens.popitem(last=False)
        self._wrong = 0
        return digest

    def redeem(self, text: str, binding: Binding, now_ns: int) -> GatingRefusal | None:
        """Use up a token; returns None when it was valid. It is invalid afterwards in any case.

        Somebody who guesses voids every token after `WRONG_TOKENS_MAX` wrong ones.
        """
        if not text:
            return GatingRefusal.TOKEN_MISSING
        digest = token_digest(text)
        token = self._tokens.get(digest)
        if token is None:
            self._wrong += 1
            if self._wrong >= WRONG_TOKENS_MAX:
                self._tokens.clear()
            return GatingRefusal.TOKEN_WRONG
        if token.used:
            return GatingRefusal.TOKEN_REUSED
        self._tokens[digest] = replace(token, used=True)
        if now_ns >= token.expires_ns:
            return GatingRefusal.TOKEN_EXPIRED
        if token.binding_digest != binding.digest:
            return GatingRefusal.TOKEN_MISMATCH
        return None


def token_digest(text: str) -> str:
    """What the record may show of a token. Case and grouping are for the eye only."""
    plain = "".join(char for char in text.upper() if char.isalnum())
    return hashlib.sha256(b"seatrial-confirm-token" + plain.encode()).hexdigest()


class Gating(msgspec.Struct):
    """The machine of one daemon, for one binding."""

    mode: Mode
    binding: Binding
    caps_within_pilot: bool = False
    dry_run: bool = True
    promotion: Promotion | None = None
    tokens: TokenBook = msgspec.field(default_factory=TokenBook)
    state: GatingState = GatingState.BRAKED

    def turn(self, event: GatingEvent) -> GatingRefusal | None:
        """Apply one event of the table. CONFIRM goes through `confirm` instead."""
        target = TRANSITIONS.get((self.state, event))
        if target is None or event is GatingEvent.CONFIRM:
            return GatingRefusal.ILLEGAL_STEP
        self.state = target
        return None

    def confirm(self, token: str, now_ns: int) -> tuple[GatingRefusal, ...]:
        """Open with a token. If another key is missing, nothing changes; the token stays valid."""
        missing = self._refusals(now_ns)
        if self.state not in {GatingState.ARMED, GatingState.OPEN} or missing:
            return missing or (GatingRefusal.NOT_ARMED,)
        if self.state is GatingState.OPEN:
            return (GatingRefusal.ILLEGAL_STEP,)
        refusal = self.tokens.redeem(token, self.binding, now_ns)
        if refusal is not None:
            return (refusal,)
        self.state = TRANSITIONS[self.state, GatingEvent.CONFIRM]
        return ()

    def rebind(self, binding: Binding, *, caps_within_pilot: bool) -> None:
        """Drop the confirmation, because config, caps, account or host have changed."""
        if binding != self.binding:
            self.binding = binding
            self.turn(GatingEvent.END)
        self.caps_within_pilot = caps_within_pilot

    def decide(self, now_ns: int) -> GatingDecision:
        """Decide whether an order may leave now."""
        if self.mode is not Mode.LIVE:
            return GatingDecision(
                allowed=not self.dry_run,
                refusals=(GatingRefusal.DRY_RUN,) if self.dry_run else (),
                note=f"{self.mode.value}: no real money, no promotion and no confirm token needed",
            )
        refusals = list(self._refusals(now_ns))
        if self.state is not GatingState.OPEN:
            refusals.append(GatingRefusal.TOKEN_MISSING)
        return GatingDecision(allowed=not refusals, refusals=tuple(refusals))

    def _refusals(self, now_ns: int) -> tuple[GatingRefusal, ...]:
        """The refusals of every key except the token."""
        found: list[GatingRefusal] = []
        if self.state is GatingState.BRAKED:
            found.append(GatingRefusal.NOT_ENABLED)
        if self.state in {GatingState.BRAKED, GatingState.ENABLED}:
            found.append(GatingRefusal.NOT_ARMED)
        if self.dry_run:
            found.append(GatingRefusal.DRY_RUN)
        promotion = promotion_refusal(self.promotion, self.binding, now_ns)
        if promotion is not None:
            found.append(promotion)
        if not self.caps_within_pilot:
            found.append(GatingRefusal.CAPS_ABOVE_PILOT)
        return tuple(found)


def promotion_refusal(
    promotion: Promotion | None, binding: Binding, now_ns: int
) -> GatingRefusal | None:
    """Whether a promotion record covers this binding now. The host differs from the testnet's."""
    if promotion is None:
        return GatingRefusal.PROMOTION_MISSING
    if not promotion.signature_valid:
        return GatingRefusal.PROMOTION_UNSIGNED
    if now_ns >= promotion.expires_ns:
        return GatingRefusal.PROMOTION_EXPIRED
    promoted = (promotion.config_hash, promotion.caps_hash, promotion.account)
    if promoted != (binding.config_hash, binding.caps_hash, binding.account):
        return GatingRefusal.PROMOTION_MISMATCH
    return None
