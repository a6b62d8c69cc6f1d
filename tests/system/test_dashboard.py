"""The dashboard: fresh, made of series that exist, every expression taken by promtool."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.metrics_table import filled_metrics

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
BOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "seatrial.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
ROWS = ["Overview", "Caps", "Order flow", "Bots", "Venue health", "Evidence"]
LOOKED_UP_BY_HAND = {
    "process_cpu_seconds",
    "process_open_fds",
    "seatrial_build",
    "seatrial_cap_alerts",
    "seatrial_fees",
    "seatrial_incidents",
    "seatrial_journal_seq",
    "seatrial_loop_lag_max_seconds",
    "seatrial_rate_limits",
    "seatrial_session",
    "seatrial_session_fills",
    "seatrial_session_orders",
    "seatrial_unrealised_pnl",
}
RECORDING = (ROOT / "deploy" / "prometheus" / "recording.yml").read_text()


def expressions() -> list[str]:
    """Every expression, with Grafana's variables filled in."""
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
    asked += [one["expr"] for one in BOARD["annotations"]["list"]]
    return [e.replace("$__rate_interval", "1m").replace("$instance", ".+") for e in asked]


def test_the_json_is_what_its_source_writes() -> None:
    spec = importlib.util.spec_from_file_location("build_dashboard", GRAFANA / "build_dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    fresh: str = source.text()
    assert source.TARGET.read_text() == fresh, "stale: python deploy/grafana/build_dashboard.py"


def test_it_asks_only_for_series_that_exist() -> None:
    text = filled_metrics().render().decode()
    known = set(re.findall(r"^(\w+?)(?:\{| )", text, flags=re.MULTILINE))
    known |= set(re.findall(r"record: (\S+)", RECORDING)) | {"ALERTS"}
    asked = {
        name
        for expression in expressions()
        for name in re.findall(r"\b(?:seatrial|process)[_:][\w:]+", expression)
    }
    assert len(asked) > 30
    assert not asked - known, f"panels of what nobody exports: {sorted(asked - known)}"


def test_every_exported_series_is_looked_at_by_somebody() -> None:
    """A metric that no panel, rule or table of the daemon's own shows is dead weight."""
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text() + RECORDING
    seen = "\n".join(expressions()) + rules
    families = {family.name for family in filled_metrics().registry.collect()}
    unseen = {name for name in families if name not in seen}
    assert unseen <= LOOKED_UP_BY_HAND, sorted(unseen - LOOKED_UP_BY_HAND)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"check:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    assert len(rules) > 50
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout + done.stderr


def test_rows_panels_and_places() -> None:
    assert [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"] == ROWS
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, f"{panel['title']} lies on another panel"
        taken |= cells


def test_data_source_and_board_are_provisioned_under_the_names_that_the_panels_use() -> None:
    source = (GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    assert re.search(r"uid: prometheus$", source, flags=re.MULTILINE)
    uids = {panel["datasource"]["uid"] for panel in PANELS}
    assert uids == {"prometheus"}
    provider = (GRAFANA / "provisioning" / "dashboards" / "seatrial.yaml").read_text()
    path = re.search(r"path: (\S+)", provider)
    assert path
    assert f":{path[1]}:ro" in (ROOT / "deploy" / "compose.yaml").read_text()


def test_grafanas_own_model_takes_the_board() -> None:
    """The classes that Grafana Labs generate from Grafana's schema, field by field."""
    models = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard", reason="needs `make test-system`'s judges"
    )
    board = models.Dashboard.from_json(BOARD)
    assert board.title == "seatrial"
    assert board.uid == "seatrial"
    panels = [panel for panel in board.panels if not isinstance(panel, models.RowPanel)]
    rows = [panel.title for panel in board.panels if isinstance(panel, models.RowPanel)]
    assert rows == ROWS
    assert len(panels) == len(PANELS)
    for panel, written in zip(panels, PANELS, strict=True):
        assert panel.title == written["title"]
        assert panel.grid_pos.w == written["gridPos"]["w"]
        assert len(panel.targets) == len(written["targets"])
        thresholds = panel.field_config.defaults.thresholds
        assert len(thresholds.steps) == len(
            written["fieldConfig"]["defaults"]["thresholds"]["steps"]
        )
    assert board.templating.list_val[0].name == "instance"
    assert [one.name for one in board.annotations.list_val] == ["Alerts"]
