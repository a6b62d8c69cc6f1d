"""`seatrial trial` as a command: what the bot gets, cannot reach, and how it ends."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.shell.process.clock import monotonic_s
from daemon.trials.bot import BotError, BotProcess
from daemon.trials.sandbox import clean_environment

ROOT = Path(__file__).resolve().parents[2]
QUICK = """
name = "quick"
patience_s = 2
[[trial]]
use = "calm"
watch_s = 2
steps = []
[[trial]]
use = "denials"
"""


AS_A_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
"""A process without any right of root, as a user of the machine has it."""
_POWERLESS = (
    "echo 0 > /proc/sys/user/max_user_namespaces && "
    'exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"'
)
WITHOUT_NAMESPACES = ("unshare", "--user", "--map-root-user", "--", "sh", "-c", _POWERLESS, "sh")
"""The same on a machine that gives no user namespaces."""


def trial(
    tmp_path: Path,
    *words: str,
    options: Sequence[str] = (),
    within: Sequence[str] = (),
    **environment: str,
) -> "subprocess.CompletedProcess[str]":
    course = tmp_path / "quick.toml"
    course.write_text(QUICK)
    command = [*within, sys.executable, "-m", "control.main", "trial", "--course", str(course)]
    command += ["--out-dir", str(tmp_path / "out"), "--json", *options, "--", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "bot.py"
    path.write_text(text)
    return str(path)


def test_a_bot_that_does_nothing_shows_nothing(tmp_path: Path) -> None:
    bot = script(tmp_path, "import time\nwhile True: time.sleep(60)\n")
    status = tmp_path / "reports" / "status"  # a clone has none
    done = trial(tmp_path, sys.executable, bot, options=["--status-dir", str(status)])
    report = json.loads(done.stdout.splitlines()[-1])
    assert json.loads((status / "trial_quick.json").read_text()) == report
    assert (status / "trial_quick.observations.json").is_file()
    assert (done.returncode, report["exit_code"]) == (3, 3)
    told = {row["name"]: row["outcome"] for row in report["trials"]}
    assert told == {"calm": "NOT SHOWN", "denials": "NOT APPLICABLE"}


LOOK = """
import json, os, pathlib, socket, subprocess, sys, time
seen = {"environment": dict(os.environ), "words": sys.argv[1:]}
seen["config"] = json.loads(pathlib.Path(sys.argv[2]).read_text())
seen["template"] = pathlib.Path(sys.argv[3]).read_text()
seen["interfaces"] = [name for _, name in socket.if_nameindex()]
try:
    socket.create_connection(("192.0.2.1", 443), timeout=3)
except OSError as error:
    seen["reach"] = str(error)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"],
                         start_new_session=True)
seen["child"] = child.pid
pathlib.Path(sys.argv[4]).write_text(json.dumps(seen))
time.sleep(1000)
"""


def test_what_the_bot_gets_and_cannot_reach_and_that_its_children_end(tmp_path: Path) -> None:
    template = tmp_path / "mine.yaml"
    template.write_text("url: {rest}\nkey: {key}\n")
    told = tmp_path / "seen.json"
    done = trial(
        tmp_path,
        sys.executable,
        script(tmp_path, LOOK),
        "{streams}",
        "{config:ccxt}",
        f"{{template:{template}}}",
        str(told),
        BINANCE_API_KEY="real",
        MY_SECRET="real",
        HTTPS_PROXY="http://out.example",
    )
    seen = json.loads(told.read_text())
    rest = seen["environment"]["SEATRIAL_REST"]
    assert seen["words"][0] == rest.replace("http://", "ws://")
    assert seen["config"]["urls"]["private"] == f"{rest}/api/v3"
    assert seen["template"] == f"url: {rest}\nkey: {seen['environment']['SEATRIAL_KEY']}\n"
    assert not {"BINANCE_API_KEY", "MY_SECRET", "HTTPS_PROXY"} & set(seen["environment"])
    assert {"BINANCE_API_KEY", "HTTPS_PROXY", "MY_SECRET"} <= set(
        json.loads(done.stdout.splitlines()[-1])["environment_taken"]
    )
    assert seen["interfaces"] == ["lo"]
    assert "unreachable" in seen["reach"]
    assert not Path(f"/proc/{seen['child']}").exists()


@pytest.mark.parametrize(
    ("words", "options", "said"),
    [
        ((), (), "no COMMAND"),
        (("no-such-program",), (), "no-such-program: No such file"),
        (("true",), (), "the bot ended with exit code 0 before it placed an order"),
        (("true", "{config:excel}"), (), "there are ready files for ccxt, freqtrade, json"),
        (("true",), ("--through-gate", "--caps", "none"), "no caps preset 'none'"),
        (("true",), ("--through-gate", "--symbol", "SOLUSDT"), "write a table [caps.symbols.SOL"),
        (("{ed25519_key}",), ("--through-gate",), "the key of a bot at the gate is HMAC"),
        (("true",), ("--only", "luck"), "--only luck: the course has calm, denials"),
        (("true",), ("--symbol", "DOGE"), "--symbol DOGE: the simulated venue has"),
    ],
)
def test_what_cannot_run_says_why_in_one_line(
    words: tuple[str, ...], options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = trial(tmp_path, *words, options=options)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("seatrial trial: ")
    assert said in last


def test_the_example_says_what_it_lacks(tmp_path: Path) -> None:
    hidden = tmp_path / "ccxt.py"
    hidden.write_text("raise ImportError('not here')\n")
    done = trial(tmp_path, sys.executable, "docs/examples/ccxt_quoter.py", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "ccxt is not installed in this environment: pip install ccxt" in done.stderr


def test_the_list_names_each_trial_and_needs_no_bot() -> None:
    command = [sys.executable, "-m", "control.main", "trial", "--list"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "answer-lost" in done.stdout
    assert "stands for:" in done.stdout


LONELY = """
import os, pathlib, socket, sys, time
names = sorted(name for _, name in socket.if_nameindex())
disk = os.stat(os.environ["SEATRIAL_WORK"]).st_dev != os.stat("/").st_dev
pathlib.Path(sys.argv[1]).write_text(f"{os.getuid()} {names} {disk}")
while True: time.sleep(60)
"""


def test_a_user_without_roots_rights_gets_the_same_isolation(tmp_path: Path) -> None:
    bot, seen = script(tmp_path, LONELY), tmp_path / "seen"
    done = trial(tmp_path, sys.executable, bot, str(seen), within=AS_A_USER)
    assert done.returncode == 3, done.stderr
    assert seen.read_text() == "1000 ['lo'] True"
    assert json.loads(done.stdout.splitlines()[-1])["loopback_only"] is True


def test_a_machine_without_namespaces_is_refused_unless_the_network_is_allowed(
    tmp_path: Path,
) -> None:
    bot, seen = script(tmp_path, LONELY), tmp_path / "seen"
    refused = trial(tmp_path, sys.executable, bot, str(seen), within=WITHOUT_NAMESPACES)
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("seatrial trial: this machine gives no network namespace")
    assert "--allow-network" in line
    assert not seen.exists()
    allowed = trial(
        tmp_path, sys.executable, bot, str(seen),
        options=["--allow-network"], within=WITHOUT_NAMESPACES,
    )  # fmt: skip
    assert allowed.returncode == 3, allowed.stderr
    report = json.loads(allowed.stdout.splitlines()[-1])
    assert report["loopback_only"] is False
    assert seen.exists()


def test_what_looks_like_a_key_is_taken_out() -> None:
    environment = {
        "PATH": "/bin",
        "LANG": "C",
        "KRAKEN_API": "x",
        "GH_TOKEN": "x",
        "Some_Passphrase": "x",
        "http_proxy": "x",
        "FREQTRADE__EXCHANGE__KEY": "x",
    }
    kept, taken = clean_environment(environment)
    assert set(kept) == {"PATH", "LANG"}
    assert set(taken) == set(environment) - {"PATH", "LANG"}


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BotError, match=r"template no-such: No such file"):
        BotProcess(
            ["x", "{template:no-such}"], {}, work=tmp_path, log=tmp_path / "log", environment={}
        )


def test_a_signal_to_the_command_ends_the_bot_and_its_children(tmp_path: Path) -> None:
    course, told = tmp_path / "quick.toml", tmp_path / "seen.json"
    course.write_text(QUICK.replace("patience_s = 2", "patience_s = 60"))
    command = [sys.executable, "-m", "control.main", "trial", "--course", str(course), "--out-dir"]
    command += [str(tmp_path / "out"), "--", sys.executable, script(tmp_path, LOOK), "x"]
    command += ["{config:json}", "{config:json}", str(told)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        until = monotonic_s() + 60
        while not told.exists() or not told.stat().st_size:
            assert monotonic_s() < until
            time.sleep(0.05)
        running.terminate()
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 1
    assert "ended by SIGTERM" in said
    assert not Path(f"/proc/{json.loads(told.read_text())['child']}").exists()
