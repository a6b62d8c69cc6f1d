"""Mutations that know JSON: flip, cut, splice, repeat, and words that have hurt decoders before."""

import random
from collections.abc import Sequence

INPUT_MAX_BYTES = 4_096
WORDS = [
    b"null", b"true", b"-1", b"0", b"1e999999999", b'"NaN"', b'"Infinity"', b"9" * 400, b"[]",
    b'""',
    b"{}", b"\xff", b"\x00", b'"\\ud800"', b"[" * 200, b"[" * 1_500, b'{"a":' * 100, b'{"a":' * 600,
    b'"1E+99999999"', b"1.5",
    b'"A@B"', b'"-1"', b"99999999999999999999",
]  # fmt: skip


def mutated(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One input: an entry of the corpus with one to four changes."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        choice = rng.randrange(6)
        if choice == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif choice == 1:
            del data[at : at + rng.randint(1, 8)]
        elif choice == 2:
            data[at:at] = rng.choice(WORDS)
        elif choice == 3:
            _swap_value(rng, data)
        elif choice == 4:
            other = rng.choice(corpus)
            cut = rng.randrange(len(other) + 1)
            data[at:] = other[cut:]
        else:
            data[at:at] = data[at : at + rng.randint(1, 40)]
    return bytes(data[:INPUT_MAX_BYTES])


def _swap_value(rng: random.Random, data: bytearray) -> None:
    """Replace what stands after some colon by a word."""
    colons = [index for index, byte in enumerate(data) if byte == 0x3A]
    if not colons:
        return
    start = rng.choice(colons) + 1
    end = start
    while end < len(data) and data[end] not in b",}]":
        end += 1
    data[start:end] = rng.choice(WORDS)
