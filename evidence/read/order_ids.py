"""Reads our client order ids: which order, which kind of request, which head of the journal.

Rules of this file:
1. It is our own reading of what `daemon/model/ids.py` writes: prefix `st`, instance (6), kind (1),
   boot (6: run number and nonce, or a long run number and `-`), counter (5), digest (16).
2. The digest is the first 80 bits of a line's SHA-256, in base 36. `prev` of the next line has the
   same bits as its first 20 hex digits.
3. Ids of older builds have no digest: they name their order and anchor nothing.
"""

import re
from typing import NamedTuple

PREFIX = "st"
ORDER, STOP = "o", "k"
KINDS = {
    "o": "order", "c": "cancel", "r": "cancel of a replace", "a": "amend",
    "k": "cancel of the emergency stop",
}  # fmt: skip
NO_NONCE = "000"
"""In an id of a run whose `run_id` has no nonce."""
KEY_DIGITS = 20
"""Hex digits of a head that a digest stands for."""
_ID = re.compile(
    r"st([0-9a-z]{6})([ocrak])(?:([0-9a-z]{3})([0-9a-z]{3})|([0-9a-z]{5})-)([0-9a-z]{5})"
    r"([0-9a-z]{16})",
    re.ASCII,
)
_COUNTED = re.compile(
    r"(st[0-9a-z]{6}o(?:[0-9a-z]{6}|[0-9a-z]{5}-))([0-9a-z]{5})[0-9a-z]{16}", re.ASCII
)
"""Prefix, instance, kind and boot; the counter; a digest."""
_COUNTED_WITHOUT_DIGEST = re.compile(r"(st[0-9a-z]{6}o[0-9a-z]{6,11})([0-9a-z]{5})", re.ASCII)
_WITHOUT_DIGEST = re.compile(
    r"st([0-9a-z]{6})(?:([oc])([0-9a-z]{3,8})([0-9a-z]{3})([0-9a-z]{5})"
    r"|-([0-9a-z]+)-([0-9a-z]+)(?:-c)?)",
    re.ASCII,
)


class OrderId(NamedTuple):
    """What an id says. `boot` is run number and nonce; `key` is empty where no head was known."""

    instance: str
    kind: str
    run: int
    nonce: str
    counter: int
    key: str
    """The first 20 hex digits of the head that the digest stands for."""

    @property
    def boot(self) -> tuple[str, int, str]:
        """The run that minted the order."""
        return (self.instance, self.run, self.nonce)

    @property
    def stem(self) -> tuple[str, int, str, int]:
        """The order that it is about: the same for its own id and those of its requests."""
        return (*self.boot, self.counter)


def read_id(shown: str) -> OrderId | None:
    """An id of any build of ours; None: no seatrial made it."""
    found = _ID.fullmatch(shown)
    if found is not None:
        instance, kind, run, nonce, wide, counter, digest = found.groups()
        number = int(digest, 36)
        key = f"{number:020x}" if 0 < number < 1 << 80 else ""
        boot_nonce = "" if nonce in {None, NO_NONCE} else nonce
        return OrderId(instance, kind, int(run or wide, 36), boot_nonce, int(counter, 36), key)
    found = _WITHOUT_DIGEST.fullmatch(shown)
    if found is None:
        return None
    instance, kind, run, nonce, counter, old_run, old_counter = found.groups()
    if kind:
        boot_nonce = "" if nonce == NO_NONCE else nonce
        return OrderId(instance, kind, int(run, 36), boot_nonce, int(counter, 36), "")
    return OrderId(instance, ORDER, int(old_run, 36), "", int(old_counter, 36), "")


def is_of(instance: str, client_order_id: str) -> bool:
    """Whether an id at the venue begins as those of a state directory of this name do."""
    kind_at = len(PREFIX) + len(instance)
    is_ours = client_order_id.startswith(f"{PREFIX}{instance}")
    return is_ours and client_order_id[kind_at : kind_at + 1] in {*KINDS, "-"}


def run_of(run_id: str) -> tuple[str, int, str] | None:
    """The boot that a `run_id` names, as `OrderId.boot`; None: it names none."""
    instance, _, rest = run_id.partition("-")
    number, _, nonce = rest.partition("-")
    if not number.isascii() or not number.isalnum():
        return None
    wide = len(number) > 3
    return (instance, int(number, 36), "" if wide else nonce)


def counter_of(client_order_id: str) -> tuple[str, str]:
    """The prefix and counter of an id; ids of old builds are `prefix-counter`."""
    for shape in (_COUNTED, _COUNTED_WITHOUT_DIGEST):
        if (found := shape.fullmatch(client_order_id)) is not None:
            return found[1], found[2]
    prefix, _, digits = client_order_id.rpartition("-")
    return prefix, digits
