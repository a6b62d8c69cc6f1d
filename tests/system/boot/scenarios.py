"""What happens on the box, told as facts: `python scenarios.py RESULTS [NAME…]`, inside the boot.

Each scenario returns plain facts; tests outside judge them. One that raises leaves its error and
the unit's last words instead. Scenarios have instances and venues of their own, so some run side by
side (most of their time is waiting); those that touch every instance run alone, at the end.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from box import TOOL, Box, as_user, run, until

Facts = dict[str, Any]
SCENARIOS: dict[str, Callable[[], Facts]] = {}
OPEN: defaultdict[int, list[Box]] = defaultdict(list)
"""Instances of the scenario that runs in a thread."""
AT_ONCE = 3
ALONE = ("gives_up", "upgrade", "removal")
"""A `daemon-reload` of another scenario would make systemd forget how often it has started one."""
LONGEST = (
    "runbook",
    "disk_full_at_boot",
    "disk_full",
    "socket_activation",
    "stuck",
    "out_of_memory",
)


def scenario(function: Callable[[], Facts]) -> Callable[[], Facts]:
    """Register one."""
    SCENARIOS[function.__name__] = function
    return function


def box(name: str, **options: Any) -> Box:
    """An instance that is put away at the end of the scenario."""
    made = Box(name, **options)
    OPEN[threading.get_ident()].append(made)
    return made


@scenario
def starts_and_stops() -> Facts:
    """READY by notify; a stop cancels, and is clean."""
    one = box("plain")
    started_s = one.start()
    one.until_gate_ready()
    time.sleep(0.5)  # sleep: the status text follows the gate by one publication
    text = one.show("StatusText")["StatusText"]
    opened = one.trade()
    begin = time.monotonic()
    run("systemctl", "stop", one.unit)
    return {
        "started_s": started_s,
        "status_text": text,
        "open_before": len(opened),
        "stop_s": time.monotonic() - begin,
        "open_after": len(one.open_orders()),
        "latched": one.latched(),
        "sessions_ended": len(one.journal("session_stop")),
        "log_by_field": run("journalctl", "-o", "cat", f"SEATRIAL_INSTANCE={one.name}"),
        **one.show("Result", "ExecMainStatus", "NRestarts"),
    }


def after_restart(one: Box, restarts: int) -> Facts:
    """What is true once systemd has started it again."""
    until("a restart", lambda: int(one.show("NRestarts")["NRestarts"]) >= restarts and one.pid)
    status = one.until_gate_ready()
    refused = one.call("start", "--yes", "--reason", "must be refused", fine=False)
    return {
        "trading_state": status["trading_state"],
        "latched": status["latched"],
        "latch_reason": status["latch_reason"],
        "refused": "error" in refused,
        "open_after": len(one.open_orders()),
        "latch_file": one.latched(),
    }


@scenario
def killed() -> Facts:
    """kill -9: ExecStopPost empties the venue; the restart is HALTED and latched."""
    one = box("killed")
    one.start()
    opened = one.trade()
    begin = time.monotonic()
    os.kill(one.pid, signal.SIGKILL)
    until("venue empty", lambda: not one.open_orders())
    empty_s = time.monotonic() - begin
    rest = after_restart(one, 1)
    log = run("journalctl", "--no-pager", "-o", "short-precise", "-n", "60", "-u", one.unit)
    return {"open_before": len(opened), "empty_s": empty_s, "log": log, **rest}


@scenario
def stuck() -> Facts:
    """A main loop that never turns again: the watchdog ends it, and the same follows."""
    wedge = {"wedge": {"class": "wedge:Wedge", "symbols": ["BTCUSDT"]}}
    one = box("stuck", strategies=wedge)
    one.drop_in("path", "[Service]\nEnvironment=PYTHONPATH=/opt/wedge\nWatchdogSec=4\n")
    one.start()
    opened = one.trade()
    begin = time.monotonic()
    until("a restart", lambda: int(one.show("NRestarts")["NRestarts"]) >= 1)
    log = one.log()
    return {
        "open_before": len(opened),
        "restarted_s": time.monotonic() - begin,
        "said_watchdog": "watchdog" in log.lower(),
        **after_restart(one, 1),
    }


@scenario
def out_of_memory() -> Facts:
    """A daemon that takes more than MemoryMax: the kernel ends it, and the same follows."""
    hog = {"hog": {"class": "hog:Hog", "symbols": ["BTCUSDT"]}}
    one = box("hungry", strategies=hog)
    one.drop_in("path", "[Service]\nEnvironment=PYTHONPATH=/opt/wedge\n")
    one.start()
    opened = one.trade()
    pid = one.pid
    group = next(Path("/sys/fs/cgroup/memory").rglob(one.unit))
    seen: dict[str, int] = {}
    while one.pid == pid:
        for name in ("limit_in_bytes", "max_usage_in_bytes", "failcnt"):
            with contextlib.suppress(OSError):
                seen[name] = int((group / f"memory.{name}").read_text())
        time.sleep(0.01)  # sleep: between two looks
    begin = time.monotonic()
    until("venue empty", lambda: not one.open_orders())
    empty_s = time.monotonic() - begin
    rest = after_restart(one, 1)
    kernel = [line for line in run("dmesg", fine=False).splitlines() if one.unit in line]
    return {
        "open_before": len(opened),
        "memory": seen,
        "empty_s": empty_s,
        "policy": one.show("OOMPolicy", "MemoryMax"),
        "kernel": kernel[-3:],
        "log": one.log(),
        **rest,
    }


@scenario
def socket_activation() -> Facts:
    """systemd holds the socket: who asks starts the daemon; a kill waits for the next one."""
    for name, groups in (("stina", "seatrial-stop"), ("olga", "seatrial-stop,seatrial-operate")):
        run("useradd", "--no-create-home", "--groups", groups, name)
    one = box("knock")
    control = {"socket": str(one.socket), "socket_group": "seatrial-stop",
               "operators": ["root", "@seatrial-operate"],
               "stoppers": ["@seatrial-stop"]}  # fmt: skip
    one.write_config(control=control)
    unit = f"seatriald@{one.name}.socket"

    def asks(who: str, *words: str) -> tuple[int, str]:
        return as_user(who, TOOL, "--socket", str(one.socket), *words, "--json")

    run("systemctl", "start", unit)
    before = one.show("ActiveState")["ActiveState"]
    first = one.status()
    one.until_gate_ready()
    inode = one.socket.stat().st_ino
    facts: Facts = {
        "before": before,
        "first": {key: first.get(key) for key in ("trading_state", "error", "said")},
        "socket": run("stat", "--format=%U:%G %a", str(one.socket)).strip(),
        "nobody": asks("nobody", "status"),
        "stopper_starts": asks("stina", "start", "--yes", "--reason", "not hers")[0],
        "operator_starts": asks("olga", "start", "--yes", "--reason", "hers"),
    }
    facts["open_before"] = len(until("orders", one.open_orders))
    pid = one.pid
    os.kill(pid, signal.SIGKILL)
    until("its end", lambda: one.pid != pid)
    facts["kill"] = asks("stina", "kill", "--reason", "sent while nobody was there")
    status = one.until_gate_ready()
    facts |= {
        "another_process": one.pid not in (0, pid),
        "trading_state": status["trading_state"],
        "latched": status["latched"],
        "killed_by": sorted(
            {
                pwd.getpwuid(line["uid"]).pw_name + " " + line["role"]
                for line in one.journal("command")
                if line["reason"] == "sent while nobody was there"
            }
        ),
        "open_after": len(one.open_orders()),
    }  # fmt: skip
    run("systemctl", "stop", one.unit)
    facts["held_while_stopped"] = one.socket.exists() and one.socket.stat().st_ino == inode
    run("systemctl", "stop", unit)
    facts["gone_with_its_unit"] = not one.socket.exists()
    run("systemctl", "start", one.unit)
    facts["own_socket"] = run("stat", "--format=%U:%G %a", str(one.socket)).strip()
    facts["stopper_asks"] = asks("stina", "status")[0]
    facts["stopper_re_arms"] = asks("stina", "re-arm", "--yes", "--reason", "not hers")[0]
    return facts


@scenario
def gives_up() -> Facts:
    """Killed again and again: the start limit, then the failure unit with its pack."""
    one = box("limit")
    one.drop_in(
        "limit",
        "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=600\n[Service]\nRestartSec=0.1\n",
    )
    one.start()
    one.trade()
    for _ in range(2):
        pid = until("a process", lambda: one.pid)
        os.kill(pid, signal.SIGKILL)
        until("its end", lambda gone=pid: one.pid != gone)
    until("failed", lambda: one.show("ActiveState")["ActiveState"] == "failed")
    failure = f"seatrial-failure@{one.name}.service"
    until(
        "the failure unit",
        lambda: (
            one.show("ExecMainExitTimestampMonotonic", unit=failure).get(
                "ExecMainExitTimestampMonotonic", "0"
            )
            not in ("", "0")
            and one.show("ActiveState", unit=failure)["ActiveState"] in ("inactive", "failed")
        ),
    )
    pack = one.state / "incidents" / "failure"
    return {
        "open_after": len(one.open_orders()),
        "latched": one.latched(),
        "result": one.show("Result")["Result"],
        "failure": one.show("Result", "ExecMainStatus", unit=failure),
        "pack": sorted(path.name for path in pack.iterdir()) if pack.is_dir() else [],
        "failure_log": run("journalctl", "--no-pager", "-n", "20", "-u", failure, fine=False),
    }


@scenario
def venue_down_at_boot() -> Facts:
    """A venue that is down is no failed start; a bad configuration is, once."""
    one = box("waiting", venue=False)
    one.drop_in("soon", "[Service]\nRestartSec=0.1\n")
    started_s = one.start()
    status = until("an answer", lambda: (s := one.status()).get("gate_state") and s)
    facts = {"started_s": started_s, "gate": status["gate_state"], **one.show("ActiveState")}
    run("systemctl", "stop", one.unit)
    facts["stop_latched"] = one.latched()
    path = Path("/etc/seatrial/waiting.toml")
    path.write_text("nonsense = 1\n" + path.read_text())
    run("systemctl", "start", one.unit, fine=False)
    time.sleep(1)  # sleep: a restart that must not come would come within RestartSec
    return {
        **facts,
        "bad": one.show("Result", "NRestarts", "ActiveState"),
        "bad_latched": one.latched(),
        "latch": run("sh", "-c", f"cat {one.state}/kill-latch/*", fine=False),
        "log": one.log(),
    }


@scenario
def keys() -> Facts:
    """Encrypted at rest, readable by the daemon alone, absent from environment and command line."""
    one = box("keys")
    one.start()
    one.until_gate_ready()
    secret = str(one.ready["api_secret"]).encode()
    place = Path(f"/run/credentials/{one.unit}/api_secret")
    stored = Path(f"/etc/credstore.encrypted/seatrial.{one.name}.api_secret").read_bytes()
    proc = Path("/proc") / str(one.pid)
    own = as_user("seatrial", "cat", str(place))
    return {
        "encrypted": secret not in stored,
        "nobody": as_user("nobody", "cat", str(place))[0],
        "same_user_other_unit": own[0],
        "in_environment": secret in (proc / "environ").read_bytes(),
        "in_command_line": secret in (proc / "cmdline").read_bytes(),
        "in_log": secret.decode() in one.log(),
        "in_state": run("grep", "-rlF", secret.decode(), str(one.state), fine=False).strip(),
        "config_by_nobody": as_user("nobody", "cat", f"/etc/seatrial/{one.name}.toml")[0],
        "socket_by_nobody": as_user(
            "nobody", "/opt/seatrial/bin/seatrial", "--socket", str(one.socket), "status"
        )[0],
    }


@scenario
def ed25519_keys() -> Facts:
    """The field guide's way to make and store an Ed25519 key, then a daemon that signs with it."""
    desk = Path("/run/desk")
    desk.mkdir(mode=0o700)
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(desk / "key.pem"))
    run("openssl", "pkey", "-in", str(desk / "key.pem"), "-pubout", "-out", str(desk / "pub.pem"))
    one = box("edkeys", sim_options=("--ed25519-public-key", str(desk / "pub.pem")))
    (desk / "api_key.txt").write_text(one.ready["ed25519_api_key"])
    for stored in Path("/etc/credstore.encrypted").glob("seatrial.edkeys.*"):
        stored.unlink()
    run("sh", "-euc", f"cd {desk}; " + Path("/opt/probe/testnet.sh").read_text())
    one.start()
    opened = one.trade(orders=1)
    os.kill(one.pid, signal.SIGKILL)
    until("venue empty", lambda: not one.open_orders())
    return {
        "open_before": len(opened),
        "left_on_the_desk": sorted(path.name for path in desk.iterdir()),
        **after_restart(one, 1),
    }


@scenario
def sandbox() -> Facts:
    """A hijacked daemon: the same unit, running probe.py in place of the daemon."""
    one = box("probe", venue=False)
    other = Path("/var/lib/seatrial/other")
    other.mkdir(mode=0o750, exist_ok=True)
    shutil.chown(other, "seatrial", "seatrial")
    run("ip", "address", "add", "10.1.2.3/32", "dev", "lo")
    one.drop_in(
        "probe",
        "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStopPost=\n"
        f"ExecStart=/opt/seatrial/bin/python3 /opt/probe/probe.py {one.state}\n",
    )
    run("systemctl", "start", one.unit)
    said = run("journalctl", "--no-pager", "-o", "cat", "-u", one.unit)
    line = next(line for line in said.splitlines() if line.startswith("{"))
    facts: Facts = json.loads(line)
    return facts


@scenario
def side_by_side() -> Facts:
    """Two instances: stopping one leaves the other trading."""
    one, two = box("left"), box("right")
    one.start()
    two.start()
    one.trade()
    two.trade()
    run("systemctl", "stop", one.unit)
    left = len(one.open_orders())
    status = two.status()
    return {
        "left_open": left,
        "right_open": len(two.open_orders()),
        "right": status["trading_state"],
        "right_latched": status["latched"],
        "run_ids_differ": status["run_id"].split("-")[0] != one.journal("run_start")[0]["instance"],
    }


@scenario
def upgrade() -> Facts:
    """The package over a trading and over a latched instance: stopped in order, back HALTED."""
    package = ("dpkg", "--install", "--force-confold", "/opt/packages/seatrial.deb")
    run(*package)
    one, idle = box("upgrade"), box("idle")
    one.start()
    one.trade()
    one.call("kill", "--reason", "before the upgrade")
    before = until("latched", lambda: (s := one.status()).get("latched") and s)
    two = box("trading")
    two.start()
    two.trade()
    run("systemctl", "enable", "--now", "seatrial-smoke@daily.timer")
    run("systemctl", "start", "seatriald@idle.socket")
    said = run(*package)
    restarted = until(
        "a new boot", lambda: (s := one.status()).get("run_id") != before["run_id"] and s
    )
    after = one.until_gate_ready() if restarted else {}
    trading = two.until_gate_ready()
    return {
        "said": said,
        "before": used(before),
        "after": used(after),
        "latched": after["latched"],
        "latch_reason": after["latch_reason"],
        "trading_state": after["trading_state"],
        "instance_same": before["instance"] == after["instance"],
        "was_trading": {k: trading[k] for k in ("trading_state", "latched", "session_id")},
        "was_trading_open": len(two.open_orders()),
        "sessions_ended": len(two.journal("session_stop")),
        "idle": idle.show("ActiveState")["ActiveState"],
        "started_again": [
            idle.show("ActiveState", unit=name)["ActiveState"]
            for name in ("seatrial-smoke@daily.timer", "seatriald@idle.socket")
        ],
        "enabled": run("systemctl", "list-unit-files", "--state=enabled", "seatrial*", fine=False),
    }


@scenario
def removal() -> Facts:
    """Removing the package stops whatever of ours runs; purging leaves state and nothing else."""
    run("dpkg", "--install", "--force-confold", "/opt/packages/seatrial.deb")
    one, held = box("leaving"), box("held")
    one.start()
    opened = one.trade()
    timers = [f"seatrial-{name}@daily.timer" for name in ("smoke", "gates", "evidence")]
    run("systemctl", "enable", "--now", *timers)
    run("systemctl", "start", f"seatriald@{held.name}.socket")
    run("dpkg", "--remove", "seatrial")
    facts = {
        "open_before": len(opened),
        "open_after": len(one.open_orders()),
        "still_active": run(
            "systemctl", "list-units", "--plain", "--no-legend", "--state=active,activating",
            "seatrial*", fine=False,
        ).split("\n"),
        "config_kept": Path("/etc/seatrial/leaving.toml").exists(),
    }  # fmt: skip
    run("dpkg", "--purge", "seatrial")
    links = list(Path("/etc/systemd/system").rglob("*.wants/seatrial*"))
    return facts | {
        "links_left": [str(path) for path in links],
        "config_left": Path("/etc/seatrial").exists(),
        "journal_kept": any((one.state / "journal").iterdir()),
        "program_left": Path("/opt/seatrial/lib").exists(),
    }


def used(status: Facts) -> dict[str, str]:
    """Day counters that must survive."""
    names = ("orders_per_day_max", "traded_notional_per_day_numeraire_max")
    return {row["cap"]: row["used"] for row in status["caps"] if row["cap"] in names}


FULL_S = 14
"""Longer than WatchdogSec: a full disk must not become a restart."""


@scenario
def disk_full() -> Facts:
    """No journal, no orders: the venue is emptied; with room again it goes on by itself, HALTED."""
    one = box("full")
    small_disk(one)
    one.start()
    opened = one.trade()
    pid = one.pid
    begin = time.monotonic()
    fill(one)
    until("venue empty", lambda: not one.open_orders())
    empty_s = time.monotonic() - begin
    sent = len(one.ledger()["orders"])
    time.sleep(FULL_S)  # sleep: orders, or a restart, that must not come would come now
    said = one.status()
    text = one.show("StatusText")["StatusText"]
    more = len(one.ledger()["orders"]) - sent
    refused = one.call("start", "--yes", "--reason", "too early", fine=False)
    (one.state / "ballast").unlink()
    status = until("mended", lambda: (s := one.status()).get("journal_ok") and s)
    ready = one.until_gate_ready()
    same = one.pid == pid and one.show("NRestarts")["NRestarts"] == "0"
    incidents = [row["incident_id"] for row in ready["incidents"] if not row["resolved_by"]]
    before = one.call("start", "--yes", "--reason", "not explained yet", fine=False)
    for name in incidents:
        one.call("incident", "resolve", name, "--root-cause", "ballast", "--remediation", "removed",
                 "--follow-up", "none")  # fmt: skip
    again = one.trade(orders=1)
    run("systemctl", "stop", one.unit)
    verdict = run(
        "/opt/seatrial/bin/seatrial", "evidence", "verify", str(one.state / "journal"), fine=False
    )
    return {
        "open_before": len(opened),
        "empty_s": empty_s,
        "orders_after": more,
        "while_full": {
            k: said.get(k) for k in ("trading_state", "journal_fault", "disk_free_bytes")
        },
        "status_text": text,
        "refused": refused,
        "after": status["trading_state"],
        "same_process": same,
        "incidents": [row["trigger"] for row in ready["incidents"]],
        "before_resolving": before,
        "open_again": len(again),
        "open_after": len(one.open_orders()),
        "verify": verdict[-600:],
    }


@scenario
def disk_full_at_boot() -> Facts:
    """Killed on a full disk: cancelled all the same; the next boot waits for room, HALTED."""
    one = box("fullboot")
    small_disk(one)
    one.start()
    opened = one.trade()
    fill(one)
    os.kill(one.pid, signal.SIGKILL)
    until("venue empty", lambda: not one.open_orders())
    until("waiting", lambda: one.show("StatusText")["StatusText"].startswith("waiting"))
    waiting = one.show("StatusText", "ActiveState")
    time.sleep(FULL_S)  # sleep: a start limit that must not be met would be met now
    still = one.show("ActiveState", "NRestarts")
    (one.state / "ballast").unlink()
    ready = one.until_gate_ready()
    return {
        "open_before": len(opened),
        "waiting": waiting,
        "still": still,
        "trading_state": ready["trading_state"],
        "open_after": len(one.open_orders()),
        "log": one.log(),
    }


def small_disk(one: Box) -> None:
    """Twelve megabytes for the state of an instance."""
    one.state.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(one.state))
    shutil.chown(one.state, "seatrial", "seatrial")
    one.state.chmod(0o750)


def fill(one: Box) -> None:
    """Nothing is left on it."""
    run("dd", "if=/dev/zero", f"of={one.state / 'ballast'}", "bs=64k", fine=False)
    run("dd", "if=/dev/zero", f"of={one.state / 'ballast'}", "bs=4k", "oflag=append",
        "conv=notrunc", fine=False)  # fmt: skip


@scenario
def evidence_and_smoke() -> Facts:
    """The scheduled units do their work in their own sandboxes."""
    one = box("audit")
    one.start()
    one.trade()
    run("systemctl", "stop", one.unit)
    run("systemctl", "start", f"seatrial-evidence@{one.name}.service")
    directory = Path("/etc/systemd/system/seatrial-smoke@quick.service.d")
    directory.mkdir(parents=True)
    (directory / "quick.conf").write_text("[Service]\nEnvironment=SMOKE_SECONDS=8\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "seatrial-smoke@quick.service", fine=False)
    run("systemctl", "start", "seatrial-gates@quick.service", fine=False)
    smoke = "seatrial-smoke@quick.service"
    return {
        "evidence": sorted(p.name for p in (one.state / "evidence").iterdir()),
        "smoke": one.show("Result", "ExecMainStatus", unit=smoke),
        "smoke_left": sorted(p.name for p in Path("/var/lib/seatrial-smoke/quick").glob("*/*.json"))
        + sorted(p.name for p in Path("/var/lib/seatrial-smoke/quick").glob("*.json")),
        "smoke_log": run("journalctl", "--no-pager", "-n", "15", "-o", "cat", "-u", smoke),
    }


@scenario
def runbook() -> Facts:
    """Every command of the runbook, top to bottom, in one shell."""
    quick = Path("/etc/systemd/system/seatrial-smoke@daily.service.d")
    quick.mkdir(parents=True, exist_ok=True)
    (quick / "quick.conf").write_text("[Service]\nEnvironment=SMOKE_SECONDS=8\n")
    run("systemctl", "daemon-reload")
    done = subprocess.run(
        ["bash", "/opt/probe/runbook.sh"],
        env={"HOME": "/root", "PATH": os.environ["PATH"], "NAME": "rehearsal", "VENUE": "sim"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    logs = run("journalctl", "--no-pager", "-n", "80", "-o", "cat", fine=False)
    return {"code": done.returncode, "output": done.stdout, "journal": logs}


def tell(name: str) -> Facts:
    """Run one; its facts, or its error with the last words of its instances."""
    begin = time.monotonic()
    mine = OPEN[threading.get_ident()]
    try:
        facts = SCENARIOS[name]()
    except Exception:  # noqa: BLE001 - the other scenarios are still worth having
        logs = "\n".join(one.log() for one in mine)
        facts = {"error": traceback.format_exc(), "logs": logs}
    while mine:
        mine.pop().close()
    facts["seconds"] = time.monotonic() - begin
    return facts


def main(results: Path, wanted: list[str]) -> None:
    """Run each; write what is known after each."""
    run("systemd-sysusers", "seatrial.conf")
    run("systemd-tmpfiles", "--create", "seatrial.conf")
    run("systemd-creds", "setup", fine=False)
    names = wanted or list(SCENARIOS)
    names.sort(key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    told: dict[str, Facts] = {}
    lock = threading.Lock()

    def note(name: str) -> None:
        facts = tell(name)
        with lock:
            told[name] = facts
            results.write_text(json.dumps(told))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(note, [name for name in names if name not in ALONE]))
    for name in ALONE:
        if name in names:
            note(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
