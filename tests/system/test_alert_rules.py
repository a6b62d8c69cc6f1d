"""Alert rules, judged by Prometheus' own tools, and by what the daemon really exports."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.model.records import EventType
from tests.support.metrics_table import TABLE, filled_metrics, table_text

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
ALERTS = re.findall(r"- alert: (\w+)", (RULES / "alerts.yml").read_text())
CASES = ("alerts_test.yml", "alerts_slow_test.yml")
RECORDED = re.findall(r"- record: (\S+)", (RULES / "recording.yml").read_text())
BUILT_IN = {"up"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None,
    reason="amtool is not installed (Debian: prometheus-alertmanager)",
)


def run(*command: str, cwd: Path = RULES) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def exported() -> set[str]:
    """Every series name that the daemon's registry renders when its status is complete."""
    text = filled_metrics().render().decode()
    return set(re.findall(r"^(seatrial_\w+?)(?:\{| )", text, flags=re.MULTILINE))


def expressions() -> str:
    texts = [(RULES / name).read_text() for name in ("alerts.yml", "recording.yml")]
    return "\n".join(re.findall(r"expr: (.+)", "\n".join(texts)))


def test_every_metric_in_a_rule_is_one_that_the_daemon_exports() -> None:
    asked = set(re.findall(r"\bseatrial_\w+", expressions()))
    unknown = asked - exported()
    assert not unknown, f"rules ask for what nobody exports: {sorted(unknown)}"
    recorded = set(re.findall(r"\bseatrial:\w+:\w+", expressions()))
    assert recorded <= set(RECORDED)


def test_every_event_type_in_a_rule_exists() -> None:
    asked = set(re.findall(r'event_type="(\w+)"', expressions()))
    assert asked
    assert asked <= {kind.value for kind in EventType}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_bad_what_and_what_to_do(alert: str) -> None:
    text = (RULES / "alerts.yml").read_text()
    block = text.partition(f"- alert: {alert}\n")[2].partition("- alert:")[0]
    assert re.search(r"severity: (page|warn|info)\b", block)
    for field in ("summary", "description"):
        assert re.search(rf'{field}: "[^"]{{20,}}"', block), f"{alert} lacks a {field}"
    cases = [(RULES / name).read_text() for name in CASES]
    assert sum(f"name: {alert}\n" in text for text in cases) == 1, f"{alert} has no case"


def test_a_page_waits_no_longer_than_five_seconds_unless_time_is_the_trigger() -> None:
    text = (RULES / "alerts.yml").read_text()
    pages = re.findall(r"- alert: (\w+)\n.*\n\s+for: (\d+)s\n\s+labels: \{severity: page\}", text)
    slow = {name: int(wait) for name, wait in pages if int(wait) > 3}
    assert slow == {"SeatrialUnknownOrders": 60}


def test_the_table_of_metrics_is_fresh() -> None:
    stale = "docs/METRICS.md is stale: python -m tests.support.metrics_table"
    assert TABLE.read_text() == table_text(), stale


@needs_promtool
def test_promtool_has_nothing_to_say_about_our_metrics() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=filled_metrics().render(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stdout + done.stderr


@needs_promtool
def test_promtool_finds_every_rule() -> None:
    alerts = run("promtool", "check", "rules", "alerts.yml")
    assert alerts.returncode == 0, alerts.stdout + alerts.stderr
    assert f"{len(ALERTS)} rules found" in alerts.stdout + alerts.stderr
    recording = run("promtool", "check", "rules", "recording.yml")
    assert f"{len(RECORDED)} rules found" in recording.stdout + recording.stderr
    config = run("promtool", "check", "config", "prometheus.yml")
    assert config.returncode == 0, config.stdout + config.stderr


@needs_promtool
@pytest.mark.parametrize("cases", CASES)
def test_every_alert_fires_in_time_and_none_in_a_quiet_session(cases: str) -> None:
    done = run("promtool", "test", "rules", cases)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.campaign
@needs_promtool
def test_alerts_that_never_fire_would_be_caught(tmp_path: Path) -> None:
    for name in ("recording.yml", *CASES):
        shutil.copy(RULES / name, tmp_path / name)
    text = (RULES / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(re.sub(r"(\s+expr: ).+", r"\1vector(0) > 1", text))
    tried = [run("promtool", "test", "rules", cases, cwd=tmp_path) for cases in CASES]
    assert all(done.returncode != 0 for done in tried)
    said = "".join(done.stdout + done.stderr for done in tried)
    missed = [alert for alert in ALERTS if f'alertname=\\"{alert}\\"' not in said]
    assert not [alert for alert in missed if f'alertname="{alert}"' not in said]


@needs_amtool
@pytest.mark.parametrize(
    ("severity", "receiver"), [("page", "pager"), ("warn", "desk"), ("info", "screen")]
)
def test_each_severity_goes_to_its_receiver(severity: str, receiver: str) -> None:
    check = run("amtool", "check-config", str(ALERTMANAGER))
    assert check.returncode == 0, check.stdout + check.stderr
    done = run(
        "amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}",
        f"severity={severity}", "alertname=SeatrialX", f"--verify.receivers={receiver}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
