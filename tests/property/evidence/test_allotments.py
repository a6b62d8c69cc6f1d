"""What a bot's allotment has free: the accountant's figure is the engine's, request by request."""

import json
from decimal import Decimal
from typing import Any

import pytest

from daemon.core.bots.money import Money
from daemon.core.engine_config import BotSpec
from daemon.model.orders import Order
from evidence.folds.allotment_fold import AllotmentsFold
from evidence.folds.journal_fold import JournalFold
from evidence.read.bot_lines import BotInputLine
from evidence.read.journal_reader import decoded
from tests.support.honest import STORM
from tests.support.journal_maker import encode
from tests.support.sim_bots import run_world
from tests.support.sim_journal import records_of

Free = dict[tuple[int, str], Decimal]


class Watched(AllotmentsFold):
    """Keeps what it found free of each asset, by the time of the request."""

    def __init__(self) -> None:
        super().__init__()
        self.free: Free = {}

    def _input(self, record: BotInputLine) -> None:
        super()._input(record)
        if (asked := self._asked.get(record.input.get("request", 0))) is not None:
            self.free |= {(record.ts_ns, asset): one for asset, one in asked.free.items()}


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 7])
def test_it_is_the_engines_own_figure(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    engines: Free = {}
    ask = Money.free

    def free(self: Money, spec: BotSpec, asset: str, *, but: Order | None = None) -> Decimal:
        mine = self._own(spec, asset) - self._held(spec.name).get(asset, Decimal(0))
        mine += self._freed_by(but, asset) if but is not None else 0
        engines[self._ctx.now_ns, asset] = mine
        return ask(self, spec, asset, but=but)

    monkeypatch.setattr(Money, "free", free)
    more: dict[str, Any] = {"menu": STORM} if seed % 2 else {}
    lines = json.loads(json.dumps(records_of(run_world(seed, **more)), default=str))
    fold = Watched()
    JournalFold("world", [fold]).read(decoded(encode(lines)))
    both = engines.keys() & fold.free.keys()
    assert len(both) > 5
    assert {one: engines[one] for one in both} == {one: fold.free[one] for one in both}
    assert fold.checked
    assert not fold.problems.counts
