"""Row d: evidence reduction of a large journal, MB/s a core and RSS, against json in the same run.

Every contender reads the same bytes in a process of its own, so that RSS is its own: a typed
per-line reader with the hash chain, every fold, every decision decided again and every bad line
counted (ours); the plain loop that a script would be (`json.loads` a line, counters only); orjson
likewise; duckdb and polars where they can be imported (they are no dependency, and they pass over
malformed lines in silence or stop at them).
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.report import Row, at_least, at_most
from tests.support.journal_maker import encode, whole_story

SIZE_MB = 60
INPUTS_PER_FACT = 12
"""Market data is nearly all of a real journal's lines; measured in a demo: about five to one in
lines, more in a quiet market."""


def write_big_journal(directory: Path, size_mb: int = SIZE_MB) -> Path:
    """A journal of `size_mb` in one segment: honest sessions with market data between the facts."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "journal-000001.jsonl"
    per_story = 0
    sessions = 1
    while True:
        maker = whole_story(orders=30, sessions=sessions)
        top = {
            "instrument_id": "BTCUSDT@sim", "bid_px": "2999.50", "bid_qty": "1.25",
            "ask_px": "3000.50", "ask_qty": "0.75", "update_id": 123456789,
            "ts_venue_ns": maker.now_ns, "ts_recv_ns": maker.now_ns,
        }  # fmt: skip
        records: list[dict[str, Any]] = []
        for record in maker.records:
            records.append(record)
            envelope = {k: record[k] for k in list(record)[:11]}
            market = {**envelope, "event_type": "input", "level": "info"}
            market["input"] = {"type": "MarketData", "top": top}
            records += [market] * INPUTS_PER_FACT
        lines = encode(records)
        total = sum(len(line) + 1 for line in lines)
        if total >= size_mb * 1_000_000 or per_story:
            path.write_bytes(b"".join(line + b"\n" for line in lines))
            return path
        per_story = total
        sessions = size_mb * 1_000_000 // total + 1


def reduce_ours(path: Path) -> int:
    """The whole report: chain, folds, decisions decided again."""
    from evidence.report.report import build_report  # noqa: PLC0415 - each contender imports its own

    report = build_report([path])
    account = report.journals[0].account
    assert account.chain.faults.counts == {}
    return account.chain.lines


def read_ours(path: Path) -> int:
    """Reader and counts only: typed lines, sequence and hash chain checked."""
    from evidence.folds.journal_fold import JournalFold  # noqa: PLC0415 - each contender imports its own
    from evidence.read.journal_reader import JournalReader  # noqa: PLC0415

    account, reader = JournalFold("journal", []), JournalReader([path])
    account.chain = reader.chain
    account.read(reader.records())
    return account.chain.lines


def reduce_json(path: Path) -> int:
    """What a script does: json.loads a line, count types and errors."""
    return _plain_loop(path, json.loads)


def reduce_orjson(path: Path) -> int:
    """The same with orjson."""
    import orjson  # noqa: PLC0415 - each contender imports its own

    return _plain_loop(path, orjson.loads)


def _plain_loop(path: Path, loads: Callable[[bytes], Any]) -> int:
    counts: dict[str, int] = {}
    errors = lines = 0
    with path.open("rb") as opened:
        for line in opened:
            event = loads(line)
            lines += 1
            counts[event["event_type"]] = counts.get(event["event_type"], 0) + 1
            errors += bool(event["is_error"])
    return lines


def reduce_duckdb(path: Path) -> int:
    """Counts by type in SQL (malformed lines become nulls in silence)."""
    import duckdb  # noqa: PLC0415 - optional, absent from the locked set

    query = (
        "select event_type, count(*), sum(is_error::int) from read_json("
        "?, format='newline_delimited', ignore_errors=true,"
        " columns={event_type: 'VARCHAR', is_error: 'BOOLEAN'}) group by 1"
    )
    return int(sum(row[1] for row in duckdb.execute(query, [str(path)]).fetchall()))


def reduce_polars(path: Path) -> int:
    """Counts by type in polars (stops at a malformed line)."""
    import polars as pl  # noqa: PLC0415 - optional, absent from the locked set

    frame = pl.scan_ndjson(path).group_by("event_type").len().collect(engine="streaming")
    return int(frame["len"].sum())


CONTENDERS: dict[str, Callable[[Path], int]] = {
    "seatrial report": reduce_ours,
    "seatrial read and chain": read_ours,
    "json": reduce_json,
    "orjson": reduce_orjson,
    "duckdb": reduce_duckdb,
    "polars": reduce_polars,
}


def _run(name: str, path: Path) -> dict[str, Any]:
    """One contender in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.evidence_rate", name, str(path)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["failed"]
        return {"name": name, "missing": reason[0]}
    return {"name": name, **json.loads(done.stdout.splitlines()[-1])}


def rows(*, quick: bool = False) -> list[Row]:
    """Row d: each contender's MB/s on one core and its peak RSS; two processes of ours together.

    Rates are per CPU second, so that a busy neighbour is not counted as our slowness.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = write_big_journal(Path(directory), 20 if quick else SIZE_MB)
        found = {name: _run(name, path) for name in CONTENDERS}
        two = _two_processes(path)
    base = found["json"]["mb_per_cpu_s"]
    ours = found["seatrial report"]
    out = [
        Row(
            row="d",
            name="evidence, whole report, a core",
            value=ours["mb_per_cpu_s"],
            unit="MB/s",
            baseline_name="json.loads a line",
            baseline=base,
            ratio=ours["mb_per_cpu_s"] / base,
            target="≥ 130 MB/s",
            met=at_least(ours["mb_per_cpu_s"], 130),
            details=found,
        ),
        Row(
            row="d",
            name="evidence, typed read and chain, a core",
            value=found["seatrial read and chain"]["mb_per_cpu_s"],
            unit="MB/s",
            baseline_name="json.loads a line",
            baseline=base,
            ratio=found["seatrial read and chain"]["mb_per_cpu_s"] / base,
            target="",
            met=None,
        ),
        Row(
            row="d",
            name="evidence, two processes",
            value=two["mb_per_cpu_s"],
            unit="MB/s",
            target="≥ 200 MB/s",
            met=at_least(two["mb_per_cpu_s"], 200),
            moonshot="≥ 240 MB/s",
            moonshot_met=at_least(two["mb_per_cpu_s"], 240),
            details=two,
        ),
        Row(
            row="d",
            name="evidence, peak RSS",
            value=ours["rss_mb"],
            unit="MB",
            target="≤ 64 MB",
            met=at_most(ours["rss_mb"], 64),
        ),
    ]
    out += [
        Row(
            row="d",
            name=f"{name}, counts only",
            value=found[name]["mb_per_cpu_s"],
            unit="MB/s",
            target="",
            met=None,
            details=found[name],
        )
        for name in ("orjson", "duckdb", "polars")
        if "mb_per_cpu_s" in found[name]
    ]
    return out


def _two_processes(path: Path) -> dict[str, Any]:
    """Two whole reports side by side: what two cores give on two journals."""
    command = [sys.executable, "-m", "tests.bench.evidence_rate", "seatrial report", str(path)]
    root = Path(__file__).resolve().parents[2]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) for _ in range(2)]
    outs = [json.loads(one.communicate()[0].splitlines()[-1]) for one in pair]
    return {
        "mb_per_cpu_s": round(sum(out["mb_per_cpu_s"] for out in outs), 1),
        "mb_per_s": round(sum(out["mb_per_s"] for out in outs), 1),
        "rss_mb": max(out["rss_mb"] for out in outs),
    }


def peak_rss_mb() -> float:
    """This process's own peak since its exec (ru_maxrss would count the parent's at the fork)."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(peak.split()[1]) / 1024, 1)


def main(name: str, path: Path) -> None:
    """Measure one contender and print its row."""
    started, cpu = time.perf_counter(), time.process_time()
    lines = CONTENDERS[name](path)
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    size_mb = path.stat().st_size / 1e6
    print(json.dumps({
        "lines": lines,
        "mb_per_s": round(size_mb / wall_s, 1),
        "mb_per_cpu_s": round(size_mb / cpu_s, 1),
        "rss_mb": peak_rss_mb(),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
