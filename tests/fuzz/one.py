"""One target under atheris: `python -m tests.fuzz.one NAME CORPUS… [libFuzzer options]`.

The imports below are instrumented, so that the search is guided by the branches of our own code.
"""

import random
import sys

import atheris

with atheris.instrument_imports(
    include=["daemon.venues", "control.protocol", "evidence.read.journal_reader"]
):
    from tests.fuzz.targets import REFUSALS, Target, targets

from tests.fuzz.mutations import mutated

CLEVER_SHARE = 0.5
"""How often a mutation knows JSON; else libFuzzer's own."""


def planted_bug(_data: bytes) -> None:
    """A bug on purpose: a test holds the machinery to finding it."""
    raise KeyError("planted")


def main() -> None:
    """Run until libFuzzer's own bounds end it; an unexpected exception ends it with a finding."""
    name = sys.argv[1]
    target = Target(planted_bug, (b"{}",)) if name == "planted" else targets()[name]
    read, seeds = target.read, target.seeds

    def one(data: bytes) -> None:
        try:
            read(data)
        except REFUSALS:
            return

    def change(data: bytes, size_max: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < CLEVER_SHARE:
            return mutated(rng, (data, data, data, *seeds))[:size_max]
        return bytes(atheris.Mutate(data, size_max))

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
