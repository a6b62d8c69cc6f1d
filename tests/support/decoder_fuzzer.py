"""Mutation fuzzing of the decoders: `python -m tests.support.decoder_fuzzer --seconds 60`.

Pure Python, on every platform, a fixed part with every test run; `make fuzz` goes deeper. Garbage
must come out as a value or as an error of our own tree, and quickly. Prints one JSON line:
executions, findings, the slowest input; exit code 1 on a finding.
"""

import argparse
import contextlib
import json
import random
import sys
import time
from dataclasses import dataclass, field

from daemon.errors import SeatrialError
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import DECODERS, SEEDS

SLOW_S = 0.5


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    seed: int
    executions: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    findings: list[dict[str, str]] = field(default_factory=list)


def fuzz(*, seconds: float, seed: int, executions_max: int | None = None) -> Outcome:
    """Run until the time or the count is up."""
    rng = random.Random(seed)
    outcome = Outcome(seed)
    ways = list(DECODERS.values())
    end = time.monotonic() + seconds
    corpus = list(SEEDS)
    while time.monotonic() < end:
        payload = mutated(rng, corpus)
        for way in ways:
            outcome.executions += 1
            begin = time.thread_time()  # CPU time: a busy machine is no finding
            try:
                way(payload)
                if rng.random() < 0.001 and len(corpus) < 500:
                    corpus.append(payload)  # it was readable: a good start for further ones
            except SeatrialError:
                outcome.refused += 1
            except Exception as error:  # noqa: BLE001 - that is what it looks for
                outcome.findings.append({"input": repr(payload[:300]), "error": repr(error)[:300]})
            took = time.thread_time() - begin
            if took > SLOW_S:  # once more: a collection of all garbage may have fallen into it
                begin = time.thread_time()
                with contextlib.suppress(Exception):
                    way(payload)
                took = time.thread_time() - begin
            outcome.slowest_s = max(outcome.slowest_s, took)
            if took > SLOW_S:
                outcome.findings.append({"input": repr(payload[:300]), "error": f"{took:.2f} s"})
        if executions_max is not None and outcome.executions >= executions_max:
            break
        if len(outcome.findings) > 20:
            break
    return outcome


def main() -> int:
    """Parse argv, fuzz, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = fuzz(seconds=options.seconds, seed=options.seed)
    print(
        json.dumps(
            {
                "seed": outcome.seed,
                "executions": outcome.executions,
                "refused": outcome.refused,
                "slowest_ms": round(outcome.slowest_s * 1000, 2),
                "findings": outcome.findings,
            }
        )
    )
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
