"""What a person at `seatrial kill` sees, and when: progress, silence, the other road."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from control.tool import daemon_lookup, kill_command
from control.tool.client import ControlClient
from control.tool.daemon_lookup import default_config, default_socket, direct_command
from control.tool.kill_command import Teller
from tests.support.control_port import FakePort
from tests.support.control_server import RawClient, eventually, serving
from tests.support.stop_stage import ROOT, StopStage


@contextlib.contextmanager
def silent(directory: Path) -> Iterator[Path]:
    """A daemon that takes connections (the kernel does) and never says a word."""
    path = directory / "control.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(8)
        yield path


def tool(path: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "control.main", "--socket", str(path), *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, **env},
    )


class Steps:
    def __init__(self) -> None:
        self.names: list[str] = []

    def sent(self) -> None:
        assert self.names == [], "the bytes leave before anything is told"

    def step(self, step: Mapping[str, Any], elapsed_s: float) -> None:
        assert 0 <= elapsed_s < 60
        self.names.append(step["step"])

    def wait_s(self, elapsed_s: float) -> float:
        return 60 - elapsed_s


def test_the_gate_is_closed_in_the_call_that_read_the_line(tmp_path: Path) -> None:
    """Another line of the same burst finds it closed: nothing of the loop stands between."""
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        steps = Steps()
        asked_ns = time.monotonic_ns()
        client.call_telling("kill", steps, progress=True)
        assert asked_ns < port.gate_closed_ns < time.monotonic_ns()
    assert steps.names == ["gate_closed"]


def test_who_joins_a_kill_hears_so_at_once(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_gate = asyncio.Event()
    with serving(tmp_path, port) as path, RawClient(path) as first, RawClient(path) as second:
        line = {"jsonrpc": "2.0", "id": 1, "method": "kill", "params": {"progress": True}}
        for client, step in ((first, "gate_closed"), (second, "joined")):
            client.send(json.dumps(line).encode() + b"\n")
            told = client.line()
            assert told is not None
            assert (told["method"], told["params"]["step"]) == ("step", step)
        eventually(lambda: len(port.kills) == 1)
        port.loop.call_soon_threadsafe(port.kill_gate.set)
        for client in (first, second):
            answer = client.line()
            assert answer is not None
            assert answer["result"]["verified"] is True


def test_a_joined_kill_is_not_called_silent(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller("a", "", None)
    teller.step({"step": "joined"}, 0.001)
    for second in range(1, 5):
        teller.step({}, float(second))
    told = capsys.readouterr().err
    assert "a kill is running already" in told
    assert "DOES NOT ANSWER" not in told


def test_steps_come_only_to_who_asked_for_them(tmp_path: Path) -> None:
    with serving(tmp_path) as path, RawClient(path) as client:
        assert "result" in client.ask("kill"), "the first line is the answer"


def test_a_daemon_that_answers_is_told_of_line_by_line(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        done = tool(path, "kill", "--reason", "enough")
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert first == f"seatrial: kill sent to {path}"
    assert second == "seatrial: gate closed in 0.1 ms: no order leaves any more"
    assert done.stdout.startswith("KILLED")


def test_a_silent_daemon_is_called_silent_in_plain_words_with_the_command(tmp_path: Path) -> None:
    with silent(tmp_path) as path:
        done = tool(path, "kill", "--timeout", "3.5", SEATRIAL_CONFIG="box.toml")
    lines = done.stderr.splitlines()
    assert lines[0] == f"seatrial: kill sent to {path}"
    assert lines[1] == "seatrial:   1 s: no answer yet"
    silent_s = re.match(r"seatrial: THE DAEMON DOES NOT ANSWER \((\d+\.\d) s\)", lines[2])
    assert silent_s
    assert float(silent_s[1]) >= 2
    assert lines[3].endswith("in another terminal: seatrial kill --direct --config box.toml")
    assert any("3 s: still no answer" in line for line in lines)
    assert done.returncode == 5
    assert "run now: seatrial kill --direct --config box.toml" in lines[-1]


def test_or_direct_takes_the_other_road_after_the_seconds_it_was_given(tmp_path: Path) -> None:
    with silent(tmp_path) as path:
        began_s = time.monotonic()
        done = tool(path, "kill", "--or-direct=0.3", "--config", str(tmp_path / "none.toml"))
        took_s = time.monotonic() - began_s
    silent_s = re.search(r"DOES NOT ANSWER \((\d+\.\d) s\)", done.stderr)
    assert silent_s
    assert float(silent_s[1]) >= 0.3
    assert "going to the venue directly" in done.stderr
    assert "none.toml: No such file" in done.stderr
    assert done.returncode == 1
    assert took_s < 20, "not the whole timeout"


@pytest.mark.slow
def test_whoever_interrupts_a_direct_stop_is_told_what_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(**_asked: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kill_command.run(kill_command.KillOptions(direct=True), interrupted)
    assert "NOT finished: orders of ours may still be open" in capsys.readouterr().err


def test_or_direct_stops_a_stopped_daemon_and_the_venue_is_empty(tmp_path: Path) -> None:
    with StopStage(tmp_path, symbols=("BTCUSDT", "ETHUSDT"), orders_per_symbol=5) as stage:
        stage.start_daemon()
        stage.fill()
        stage.send_signal(signal.SIGSTOP)
        done = tool(
            stage.socket, "kill", "--or-direct", "--config", str(stage.config), "--reason", "hung"
        )
        assert done.returncode == 0, done.stderr
        assert stage.venue_open() == []
        lines = [line.removeprefix("seatrial: ") for line in done.stderr.splitlines()]
        assert re.match(r"THE DAEMON DOES NOT ANSWER \(2\.\d s\)", lines[2])
        assert re.match(r"latched in \d+ ms; asking the venue \(sim\) to cancel", lines[3])
        # It comes back, finds the latch and the kill that still waits in its socket: HALTED.
        stage.send_signal(signal.SIGCONT)
        status = stage.until(lambda: _halted(stage), "halted by the latch")
        assert "hung" in status["latch_reason"]


def _halted(stage: StopStage) -> dict[str, object]:
    status = stage.status()
    return status if status.get("latched") and status["trading_state"] == "HALTED" else {}


def test_kill_json_has_the_result_alone_on_stdout(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        done = tool(path, "kill", "--json")
    assert json.loads(done.stdout)["verified"] is True


# ---------------------------------------------------------------------- where things are


def test_a_units_kill_is_the_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_lookup, "CONFIG_DIRECTORY", str(tmp_path))
    unit = Path("/run/seatrial/box/control.sock")
    assert default_config(unit, {}) is None
    (tmp_path / "box.toml").touch()
    assert default_config(unit, {}) == tmp_path / "box.toml"
    assert direct_command(unit, None) == "systemctl start seatrial-cancel@box"
    other = direct_command(unit, tmp_path / "other.toml")
    assert other == f"seatrial kill --direct --config {tmp_path / 'other.toml'}"


def test_elsewhere_it_is_the_configurations(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    assert default_config(path, {}) is None

    assert default_config(path, {"SEATRIAL_CONFIG": "x.toml"}) == Path("x.toml")
    assert direct_command(path, None) == "seatrial kill --direct --config FILE"
    assert default_socket({}) == "/run/seatrial/control.sock"


def test_the_wizards_configuration_is_found_beside_the_state_that_it_names(tmp_path: Path) -> None:
    socket_path = tmp_path / "box" / "state" / "control.sock"
    config = tmp_path / "box" / "seatrial.toml"
    config.parent.mkdir()
    assert default_config(socket_path, {}) is None
    for text in ("", "state_dir = 5", f'state_dir = "{tmp_path}/another"'):
        config.write_text(text)
        assert default_config(socket_path, {}) is None, "not this box's"
    config.write_text(f'state_dir = "{socket_path.parent}"')
    assert default_config(socket_path, {}) == config
    assert direct_command(socket_path, None) == f"seatrial kill --direct --config {config}"


def test_direct_finds_the_configuration_by_itself_or_says_what_is_missing(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SEATRIAL")}
    asked = [sys.executable, "-m", "control.main", "kill", "--direct"]
    told = subprocess.run(
        asked, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 1
    assert "add --config FILE, or set $SEATRIAL_CONFIG" in told.stderr
    environ["SEATRIAL_CONFIG"] = str(tmp_path / "missing.toml")
    told = subprocess.run(
        asked, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert "missing.toml: No such file" in told.stderr


def test_who_may_not_look_into_etc_can_still_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopper is in the socket's group, and in no group that reads configurations."""

    def forbidden(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", forbidden)
    assert default_config(Path("/run/seatrial/box/control.sock"), {}) == Path(
        "/etc/seatrial/box.toml"
    )
    assert direct_command(Path("/run/seatrial/box/control.sock"), None).endswith("cancel@box")


HEAVY = (
    "pydantic",
    "textual",
    "aiohttp",
    "control.tool.mounted_commands",
    "control.methods",
    "control.tool.watch_screen",
)


@pytest.mark.parametrize("how", [(), ("--direct", "--config", "none.toml")])
def test_a_kill_imports_nothing_that_it_does_not_need(tmp_path: Path, how: tuple[str, ...]) -> None:
    program = (
        "import sys\n"
        "from control import main\nfrom control.tool import output\n"
        "real = output.end\n"
        "def end(code):\n    print('exit', code)\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules])\n    real(0)\n"
        "output.end = end\n"
        "main.main()\n"
    )
    with serving(tmp_path) as path:
        done = subprocess.run(
            [sys.executable, "-c", program, "kill", *how],
            cwd=ROOT,
            env={**os.environ, "SEATRIAL_SOCKET": str(path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert ("exit 1" in done.stdout) is bool(how), "there is no such configuration"


def test_the_short_roads_help_is_the_tools(tmp_path: Path) -> None:
    environ = {**os.environ, "COLUMNS": "100"}
    told = [
        subprocess.run(
            [sys.executable, "-m", "control.main", *words, "--help"],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for words in (["kill"], ["--socket", "x", "kill"])
    ]
    assert told[0].splitlines()[0] == "Usage: seatrial kill [OPTIONS]"
    assert told[0].split("Options:")[0].split() == told[1].split("Options:")[0].split()
