"""Who is asking, and may they ask now: keys, token buckets, and what a refusal tells us.

Rules of this file:
1. The rate is looked at before everything that costs; the dialect's own checks follow. A bot pays
   for what its key has signed alone.
2. The daemon's own key, and one bot's signature under another's key, are refused and told; neither
   a key nor a secret is in what is told.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from daemon.errors import CredentialsRefused
from daemon.model.amounts import NS_PER_MS
from daemon.shell.gateway.bot_keys import KeyRing
from daemon.shell.gateway.gateway_rules import BotAsked, BotRules, Counts
from daemon.shell.gateway.throttle import Bucket, Throttle, ThrottleRefused
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.serving.call_table import CallKind, Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.params import Params
from daemon.venues.binance_spot.serving.rate_limits import banned, too_much_weight
from daemon.venues.binance_spot.serving.registered_keys import ApiKey

BAD_SIGNATURE, UNKNOWN_KEY = -1022, -2015
_PUBLIC_RATE, _PUBLIC_BURST = 200, 400

OnIncident = Callable[[str, str], None]
"""Told of a key in the wrong hands: what was seen, and which bot's (empty: the daemon's own)."""


class Seen(msgspec.Struct):
    """When a bot was last heard, and its longest silence since the start of the gateway."""

    last_ns: int = 0
    longest_silence_ns: int = 0


class Authentication:
    """Lives on the gateway's loop."""

    def __init__(
        self,
        ring: KeyRing,
        rules: Iterable[BotRules],
        *,
        told: Mapping[str, str],
        clock: Clock,
        offset_ns: Callable[[], int],
        on_incident: OnIncident,
        on_revoked: Callable[[str], None],
        on_replaced: Callable[[str], None],
    ) -> None:
        """`told`: by bot, the Ed25519 key (PEM) that the session's first line names.

        `offset_ns`: the venue's clock minus ours, as the link knows it.

        `on_revoked` is told a bot that has no key any more, `on_replaced` one that has another.
        """
        self._ring = ring
        self._told = {bot: load_pem_public_key(pem.encode()) for bot, pem in told.items() if pem}
        self._rules = {one.name: one for one in rules}
        self._clock = clock
        self._offset_ns = offset_ns
        self._on_incident = on_incident
        self._on_revoked = on_revoked
        self._on_replaced = on_replaced
        rate = _PUBLIC_RATE * max(1, len(self._rules))
        self._keyless, self._strangers = Bucket(rate, _PUBLIC_BURST), Bucket(rate, _PUBLIC_BURST)
        """Shared by all: requests without a key, and those that no key of ours has signed. Neither
        is ever banned: it would be the others' ban, too."""
        self.throttles = {
            name: Throttle(
                Bucket(one.requests_per_second, one.requests_burst),
                Bucket(one.cancels_per_second, one.cancels_per_second),
            )
            for name, one in self._rules.items()
        }
        self.counts = {name: Counts(one) for name, one in self._rules.items()}
        self.seen = {name: Seen() for name in self._rules}
        self.failures = 0
        """Requests whose key or signature was wrong."""

    @property
    def keys(self) -> Mapping[str, ApiKey]:
        """The keys in force, by API key."""
        return self._ring.keys

    @property
    def revoked(self) -> frozenset[str]:
        """Bots whose key was revoked."""
        return self._ring.revoked

    def now_ns(self) -> int:
        """Engine time."""
        return self._clock.now_ns()

    def judge_ns(self) -> int:
        """The venue's clock, by which timestamps are judged here too."""
        return self._clock.now_ns() + self._offset_ns()

    def rules_of(self, bot: str) -> BotRules:
        """What the configuration says of a bot."""
        return self._rules[bot]

    def charge(self, api_key: str, endpoint: Endpoint | None, target: str = "") -> BotRules | None:
        """Charge one request to its key, before anything else is done for it.

        Returns whose key it is; None: nobody's, and all such requests share a bucket. `endpoint`
        None: a call about the connection. `target`: what a cancel names.

        Raises:
            DialectError: too many (429, 418).
        """
        self.look()
        key = self._ring.keys.get(api_key) if api_key else None
        now_ns = self.now_ns()
        if key is None:
            self._take(self._strangers if api_key else self._keyless, now_ns)
            return None
        throttle = self.throttles[key.account]
        self.counts[key.account].request(now_ns)
        is_cancel = endpoint is not None and endpoint.kind is CallKind.CANCEL
        refused = throttle.admit_cancel(now_ns, target) if is_cancel else throttle.admit(now_ns)
        self._refuse(refused, throttle.requests, now_ns)
        return self._rules[key.account]

    def refused(self, error: DialectError, api_key: str, payload: bytes, signature: str) -> None:
        """A signed request did not pass: see whether a key is in the wrong hands.

        Nothing proves that it was the key's bot, so the bot does not pay for it; else whoever has
        its API key, and not its secret, could use up its budget, that of its cancels too.

        Raises:
            DialectError: too many such requests (429).
        """
        claimed = self._ring.keys.get(api_key)
        if claimed is not None:
            self.throttles[claimed.account].give_back()
            self._take(self._strangers, self.now_ns())
        if error.code == UNKNOWN_KEY:
            self.failures += 1
            if claimed is None and self._ring.is_venue_key(api_key):
                self._on_incident("the daemon's own venue key was used at the gateway", "")
        elif error.code == BAD_SIGNATURE:
            self.failures += 1
            other = self._ring.signer_of(payload, signature, claimed.account if claimed else "")
            if other:
                self._on_incident(f"a request of another key was signed with {other}'s", other)

    def let_in(self, key: ApiKey, params: Params, proof: str) -> BotAsked:
        """What the bot asks, once all else is checked; `proof`: see `proof`."""
        now_ns = self.now_ns()
        self.heard(key.account, now_ns)
        return BotAsked(bot=self._rules[key.account], params=params, now_ns=now_ns, proof=proof)

    def proof(self, key: ApiKey, payload: bytes, signature: str) -> str:
        """What a third party can check that the bot asked with; empty: there is no such thing.

        There is none for HMAC keys, for a request of a session that has logged on and signs nothing
        more, and for a key that was made after this boot: no line of the journal names it.
        """
        if not signature or key.public_key is None:
            return ""
        if self._told.get(key.account) != key.public_key:
            return ""
        return proof_of(payload, signature)

    def heard(self, bot: str, now_ns: int) -> None:
        """Something signed by the bot's key has come."""
        seen = self.seen[bot]
        if seen.last_ns:
            seen.longest_silence_ns = max(seen.longest_silence_ns, now_ns - seen.last_ns)
        seen.last_ns = now_ns

    def look(self, *, thorough: bool = False) -> None:
        """Look whether keys were made or revoked; at every request, so that it holds at once."""
        try:
            gone = self._ring.refresh(thorough=thorough)
        except (CredentialsRefused, OSError):
            return  # what was known stays; the tool that broke the file has said so
        for bot in gone:
            (self._on_replaced if bot in self._ring.bots() else self._on_revoked)(bot)

    def _take(self, shared: Bucket, now_ns: int) -> None:
        if not shared.take(now_ns):
            self._refuse(ThrottleRefused(429, now_ns + shared.wait_ns()), shared, now_ns)

    def _refuse(self, refused: ThrottleRefused | None, bucket: Bucket, now_ns: int) -> None:
        if refused is None:
            return
        until_ns = max(refused.until_ns, now_ns + NS_PER_MS) + self._offset_ns()
        if refused.status == 418:
            raise banned(until_ns)
        raise too_much_weight(bucket.rate * 60, until_ns)


_CANCEL_NAMES = (
    "symbol", "orderId", "origClientOrderId", "orderListId", "listClientOrderId",
)  # fmt: skip


def proof_of(payload: bytes, signature: str) -> str:
    """The signed text and its signature, as the journal keeps them."""
    return f"{payload.decode('utf-8', 'replace')}&signature={signature}"


def cancel_target(endpoint: Endpoint, params: Params) -> str:
    """What a cancel names, in words that are the same for each cancel of it."""
    if endpoint.kind is not CallKind.CANCEL:
        return ""
    return "|".join(params.text(name) for name in _CANCEL_NAMES)
