"""seatriald as a process: bad input gets one clear line and the right exit code; signals end it."""

import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_daemon(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def config_text(directory: Path, **changes: str) -> str:
    caps = (ROOT / "daemon/demo/caps/demo.toml").read_text()
    for symbol in ("BNBUSDT", "XRPETH"):
        head, _, tail = caps.partition(f"[caps.symbols.{symbol}]")
        following = tail.find("\n[")
        caps = head + (tail[following:] if following >= 0 else "")
    values = {
        "state_dir": f'"{directory}/state"',
        "environment": '"sim"',
        "rest": '"http://127.0.0.1:9"',
        "key_file": f'"{directory}/keys.toml"',
        "metrics_port": "0",
    } | changes
    return f"""
state_dir = {values["state_dir"]}
[venue]
environment = {values["environment"]}
symbols = ["BTCUSDT", "ETHUSDT"]
rest = {values["rest"]}
ws_api = "ws://127.0.0.1:9/ws-api/v3"
streams = "ws://127.0.0.1:9"
[credentials]
file = {values["key_file"]}
[session]
stop_deadline_ms = 500
[metrics]
port = {values["metrics_port"]}
{caps}
"""


def write(directory: Path, **changes: str) -> Path:
    keys = directory / "keys.toml"
    # Of its own: two daemons with one account refuse each other, and tests run side by side.
    keys.write_text(f'api_key = "{secrets.token_hex(8)}"\napi_secret = "s"\n')
    keys.chmod(0o600)
    path = directory / "seatrial.toml"
    path.write_text(config_text(directory, **changes))
    return path


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"environment": '"binance"'}, "venue.environment"),
        ({"rest": '"http://api.binance.com"'}, "api.binance.com"),
        ({"key_file": '"/nonexistent/keys.toml"'}, "No such file"),
        ({"state_dir": '"/proc/seatrial"'}, "check state_dir"),
        ({"state_dir": '"/sys/seatrial"'}, "check state_dir"),
    ],
)
def test_what_cannot_run_says_so_in_a_line_and_exits_2(
    tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    done = run_daemon("--config", str(write(tmp_path, **changes)))
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    done = run_daemon("--config", str(tmp_path / "absent.toml"))
    assert done.returncode == 2
    assert "no such file" in done.stderr


def test_check_only_checks(tmp_path: Path) -> None:
    done = run_daemon("--check", "--config", str(write(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "state").exists()


def test_a_taken_metrics_port_is_named_with_the_mend(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_daemon("--config", str(write(tmp_path, metrics_port=str(port))))
    assert done.returncode == 2, done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert "metrics.port" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Unclosed" not in done.stderr


def test_a_second_daemon_on_the_same_state_is_refused_and_the_first_ends_in_order(
    tmp_path: Path,
) -> None:
    path = write(tmp_path)
    socket_path = tmp_path / "state" / "control.sock"
    with subprocess.Popen(
        [sys.executable, "-m", "daemon", "--config", str(path)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        wait_for_socket(socket_path, first)
        second = run_daemon("--config", str(path))
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 0
    assert second.returncode == 2, second.stderr
    assert "another seatriald is running" in second.stderr


def wait_for_socket(path: Path, process: subprocess.Popen[str]) -> None:
    """Until somebody listens; the process dying or a minute passing is a failure."""
    for _ in range(6_000):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                return
        except OSError:
            process_wait(process, 0.01)
    pytest.fail("nobody listens on the control socket")


def process_wait(process: subprocess.Popen[str], seconds: float) -> None:
    """Wait for the process's end, at most so long."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
