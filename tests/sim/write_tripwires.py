"""Measure the stops that nothing justified, and write `docs/TRIPWIRES.md` from the closed lists.

    python -m tests.sim.write_tripwires worlds      measure in seeded worlds (some minutes)
    python -m tests.sim.write_tripwires demo DIR    count in the journal of a quiet demo's directory
    python -m tests.sim.write_tripwires page        write the page from the code and the figures

The figures stand in `tests/sim/false_stops.json`, with what they were measured over.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daemon.model.balance_changes import CHANGE_TEXT, BalanceChange
from daemon.model.stop_triggers import StopTrigger
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_runner import SimRun

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "TRIPWIRES.md"
FIGURES = Path(__file__).with_name("false_stops.json")
SEEDS_FROM = 100_000
WORLDS = 600
WORLD_S = 60

HEAD = """# What stops us

Generated (`python -m tests.sim.write_tripwires page`); a test fails when it is stale. The lists are
closed: `daemon/model/stop_triggers.py` and `daemon/model/balance_changes.py`.

## Triggers

"""
MEASURED = """
## How often nothing justified it

{calm}
{weather}
{demo}

In calm worlds and in the demo nothing goes wrong, so that every stop there is a false one. In
weather the network loses, delays, doubles and reorders messages, links break and the daemon dies:
every trade and order is honest all the same, so that a mismatch, a foreign order, an overfill or a
wipe there would be false, while a storm or an order whose fate stays unknown is what was made.

| trigger | calm worlds | weather | quiet demo |
|---|---|---|---|
"""
CHANGES = """
Triggers that are not in the table did not fire. What only a venue, an operator or a machine can
bring about (a symbol that stops trading, a stopped process, a full disk) does not happen there.

## Balances that our own fills do not explain

| `change` | what it looks like | what follows |
|---|---|---|
"""


def stops_of(facts: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Every stop that the lines of a journal tell of, by trigger."""
    found: Counter[str] = Counter()
    for fact in facts:
        if fact["event_type"] == "incident_opened":
            found[fact["trigger"]] += 1
        elif fact["event_type"] == "trading_state" and fact["new"] == "REDUCING":
            found[StopTrigger.GATE_NOT_READY.value] += 1
    return found


def measured_in_worlds(seeds: Iterable[int], seconds: float, *, calm: bool) -> dict[str, Any]:
    """Run these worlds; what stopped them."""
    found: Counter[str] = Counter()
    worlds = orders = fills = 0
    for seed in seeds:
        run = SimRun(seed, menu=FaultMenu() if calm else None).run(seconds)
        found += stops_of(run.facts)
        worlds += 1
        orders += run.checker.orders
        fills += run.checker.fills
    return {
        "worlds": worlds,
        "seconds_each": seconds,
        "orders": orders,
        "fills": fills,
        "stops": dict(sorted(found.items())),
    }


def measured_in_demo(directory: Path) -> dict[str, Any]:
    """Count in a demo's journal. The kill at its end is asked for and no stop of this kind."""
    lines = [
        json.loads(line)
        for path in sorted((directory / "state" / "journal").glob("journal-*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    at = {line["event_type"]: line["ts_ns"] for line in lines}
    began = next(line["ts_ns"] for line in lines if line["event_type"] == "session_start")
    kinds = Counter(line["event_type"] for line in lines)
    return {
        "seconds": (at["session_stop"] - began) // 1_000_000_000,
        "orders": kinds["order_approved"],
        "fills": kinds["fill"],
        "stops": dict(sorted(stops_of(lines).items())),
    }


def page(figures: Mapping[str, Any]) -> str:
    """`docs/TRIPWIRES.md` as it must read."""
    rows = [
        "| trigger | what trips it | confirmation | what follows | cost |",
        "|---|---|---|---|---|",
    ]
    for trigger in StopTrigger:
        cells = (trigger.trips, trigger.confirmation, trigger.follows, trigger.cost)
        rows.append(f"| `{trigger}` | {' | '.join(cells)} |")
    calm, weather, demo = figures["calm"], figures["weather"], figures["demo"]
    lines = MEASURED.format(
        calm=f"* Calm: {_worlds(calm)}",
        weather=f"* Weather: {_worlds(weather)}",
        demo=f"* Quiet demo: {demo['seconds'] / 60:.0f} minutes, {demo['orders']} orders, "
        f"{demo['fills']} fills.",
    )
    fired = sorted({*calm["stops"], *weather["stops"], *demo["stops"]})
    for name in fired:
        cells = (part["stops"].get(name, 0) for part in (calm, weather, demo))
        lines += f"| `{name}` | {' | '.join(map(str, cells))} |\n"
    changes = "".join(
        f"| `{change}` | {CHANGE_TEXT[change].seen} | {CHANGE_TEXT[change].follows} |\n"
        for change in BalanceChange
    )
    return HEAD + "\n".join(rows) + "\n" + lines + CHANGES + changes


def _worlds(part: Mapping[str, Any]) -> str:
    hours = part["worlds"] * part["seconds_each"] / 3600
    return (
        f"{part['worlds']} worlds of {part['seconds_each']:.0f} s ({hours:.1f} h of virtual time), "
        f"{part['orders']} orders, {part['fills']} fills."
    )


def main(words: list[str]) -> int:
    """Do what the docstring says."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if words == ["worlds"]:
        seeds = range(SEEDS_FROM, SEEDS_FROM + WORLDS)
        figures["calm"] = measured_in_worlds(seeds, WORLD_S, calm=True)
        figures["weather"] = measured_in_worlds(seeds, WORLD_S, calm=False)
    elif words[:1] == ["demo"] and len(words) == 2:
        figures["demo"] = measured_in_demo(Path(words[1]))
    elif words == ["page"]:
        PAGE.write_text(page(figures))
        return 0
    else:
        print(__doc__)
        return 2
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
