"""How many requests of a key go through: token buckets, before anything else is looked at.

Rules of this file:
1. Cancels have a bucket of their own: no refusal or ban of other requests stops one. Repeated
   cancels of one order count once there: who hammers on one can still cancel the others.
2. A refusal is 429 with the wait; who goes on is banned (418), each time twice as long.
3. Refusals are counted; whoever asks gets one number a second, never a line a refusal.
"""

import msgspec

from daemon.model.amounts import NS_PER_MS, NS_PER_S

BREACHES_BEFORE_BAN = 10
"""So many refusals within a minute are answered with a ban."""
_BREACH_WINDOW_NS = 60 * NS_PER_S
_BAN_FIRST_NS = 60 * NS_PER_S
_BAN_MAX_NS = 3_600 * NS_PER_S
_REPEAT_NS = NS_PER_S
"""Another cancel of the same order within this time is a repeated one."""
_CALM_NS = 3_600 * NS_PER_S
"""A ban that comes so long after the last one is a first one again."""


class ThrottleRefused(msgspec.Struct, frozen=True):
    """Too many requests: the HTTP status (429, or 418 in a ban) and when to come again."""

    status: int
    until_ns: int


class Bucket(msgspec.Struct):
    """Fills with `rate` tokens a second up to `burst`; a request takes one."""

    rate: int
    burst: int
    _held: float = 0.0
    _at_ns: int = -1

    def take(self, now_ns: int) -> bool:
        """Take one, if there is one."""
        if self._at_ns < 0:
            self._held = float(self.burst)
        else:
            gained = max(0, now_ns - self._at_ns) * self.rate / NS_PER_S
            self._held = min(float(self.burst), self._held + gained)
        self._at_ns = now_ns
        if self._held < 1.0:
            return False
        self._held -= 1.0
        return True

    def give_back(self) -> None:
        """What was taken is another's to pay."""
        self._held = min(float(self.burst), self._held + 1.0)

    def wait_ns(self) -> int:
        """How long until there is one again."""
        return int(max(0.0, 1.0 - self._held) * NS_PER_S / self.rate)


class Throttle:
    """The buckets of one key, its bans, and what it was refused."""

    def __init__(self, requests: Bucket, cancels: Bucket) -> None:
        """As many repeated cancels as others."""
        self.requests = requests
        self.cancels = cancels
        self.refused = 0
        """Since the start of the daemon."""
        self.banned_until_ns = 0
        self._breaches_ns: list[int] = []
        self._bans = 0
        self._untold = 0
        self._untold_since_ns = 0
        self._repeats = Bucket(cancels.rate, cancels.burst)
        """What repeated cancels take from."""
        self._canceled_ns: dict[str, int] = {}
        """What was to be canceled within the last second; no more than the bucket lets pass."""
        self._last = requests

    def admit(self, now_ns: int) -> ThrottleRefused | None:
        """Any request but a cancel. None: it may go on."""
        self._last = self.requests
        if now_ns < self.banned_until_ns:
            return self._refuse(418, self.banned_until_ns, now_ns)
        if self.requests.take(now_ns):
            return None
        self._breaches_ns = [
            *(at for at in self._breaches_ns if now_ns - at < _BREACH_WINDOW_NS),
            now_ns,
        ]
        if len(self._breaches_ns) < BREACHES_BEFORE_BAN:
            return self._refuse(429, now_ns + self.requests.wait_ns(), now_ns)
        if now_ns - self.banned_until_ns > _CALM_NS:
            self._bans = 0
        length_ns = min(_BAN_FIRST_NS << self._bans, _BAN_MAX_NS)
        self._bans, self._breaches_ns = min(self._bans + 1, 10), []
        self.banned_until_ns = now_ns + length_ns
        return self._refuse(418, self.banned_until_ns, now_ns)

    def admit_cancel(self, now_ns: int, target: str) -> ThrottleRefused | None:
        """A cancel of what `target` names: its own bucket alone, and never a ban."""
        is_repeated = now_ns - self._canceled_ns.get(target, -_REPEAT_NS) < _REPEAT_NS
        self._last = self._repeats if is_repeated else self.cancels
        if not self._last.take(now_ns):
            return self._refuse(429, now_ns + self._last.wait_ns(), now_ns)
        if not is_repeated:
            recent = self._canceled_ns.items()
            self._canceled_ns = {one: at for one, at in recent if now_ns - at < _REPEAT_NS}
            self._canceled_ns[target] = now_ns
        return None

    def give_back(self) -> None:
        """The request that was just let in is another's to pay."""
        self._last.give_back()

    def take_count(self, now_ns: int) -> tuple[int, int]:
        """Refusals that nobody was told of yet, and over how many milliseconds; (0, 0): none."""
        count, self._untold = self._untold, 0
        return (count, (now_ns - self._untold_since_ns) // NS_PER_MS) if count else (0, 0)

    def _refuse(self, status: int, until_ns: int, now_ns: int) -> ThrottleRefused:
        if not self._untold:
            self._untold_since_ns = now_ns
        self._untold += 1
        self.refused += 1
        return ThrottleRefused(status, until_ns)
