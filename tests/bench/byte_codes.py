"""How many byte codes a cap decision, its hold and its release cost: counted, not timed.

    python -m tests.bench.byte_codes [--after-facts]

The world is that of row `cap` (cap_decision.py). A count is the same on a busy machine as on a
quiet one, but each version of the interpreter has byte codes of its own: a test holds them on
one version, and on any other the Python calls alone (test_byte_codes.py).
"""

import sys
from collections import Counter
from types import FrameType
from typing import Any, Self

from riskcaps.gate.interceptor import Approved
from tests.bench.cap_decision import BTC, FILLS, Samples, Worlds, _fill, _gate, _intents, _top


class ByteCodes:
    """Counts byte codes and calls of this thread while it is entered, by function."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _begin(self, frame: FrameType, _event: str, _: object) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        self.calls[name] += 1
        frame.f_trace_lines, frame.f_trace_opcodes = False, True

        def note(_frame: FrameType, event: str, _: object) -> Any:
            self.codes[name] += event == "opcode"
            return note

        return note


def of_decisions(*, after_facts: bool = False) -> list[ByteCodes]:
    """Of each order of a round: decided and held, found at the venue, ended.

    `after_facts`: before each the book has moved and an order has traded, as in an answered tick.
    """
    world = Worlds(_gate())
    world.round(Samples())
    found = []
    for number, intent in enumerate(_intents()):
        world._time_passes()
        if after_facts:
            top = _top(BTC, f"50000.0{number % 7}", "50010.00", world.now_ns)
            world.gate.risk.on_top(top, world.now_ns)
            world.gate.risk.on_fill(_fill(FILLS + number, intent.side), world.now_ns)
        with ByteCodes() as counted:
            answer = world.gate.review(intent, world.now_ns)
            if isinstance(answer, Approved):
                name = answer.order.client_order_id
                world.gate.risk.on_known(name, world.now_ns)
                world.gate.risk.on_terminal(name, world.now_ns)
        found.append(counted)
    return found


if __name__ == "__main__":
    of_each = of_decisions(after_facts="--after-facts" in sys.argv)
    usual = sorted(of_each, key=lambda one: one.codes.total())[len(of_each) // 2]
    for function, count in usual.codes.most_common():
        sys.stdout.write(f"{count:6}{usual.calls[function]:4}  {function}\n")
    sys.stdout.write(f"{usual.codes.total():6}{usual.calls.total():4}  in all\n")
