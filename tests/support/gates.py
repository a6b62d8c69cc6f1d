"""A bench for the launch gates: write inputs, run one command, read the artifact back."""

import json
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from evidence.gates.gate_commands import gate_group

NOW = "2026-01-31T12:00:00Z"
GREEN = {"overall_ok": True, "results": []}
STALENESS_FREE = [{"name": "PR-K", "age_hours": 1.0}, {"name": "PR-J", "age_hours": 1.0}]
PASSED_GATE = {"overall_ok": True, "results": STALENESS_FREE}
MISSING = object()
"""An input whose file is not written."""


@dataclass(frozen=True)
class Outcome:
    """What one command did."""

    exit_code: int
    value: dict | None
    twin: str | None
    output: str


class GateBench:
    """Runs gate commands in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / "out"

    def file(self, name: str, content: object) -> str:
        """Write an input (text and bytes as they are, anything else as JSON); its path."""
        path = self.root / f"{name}.json"
        if content is MISSING:
            return str(path)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
        return str(path)

    def run(self, command: str, stem: str, *options: object, **inputs: object) -> Outcome:
        """Run one gate; every keyword is an input file and the option that names it."""
        arguments = [command, "--out-dir", str(self.out), "--now", NOW, *map(str, options)]
        for name, content in inputs.items():
            arguments += [f"--{name.replace('_', '-')}", self.file(name, content)]
        done = CliRunner().invoke(gate_group, arguments)
        path = self.out / f"{stem}.json"
        value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        twin = path.with_suffix(".md")
        return Outcome(
            done.exit_code,
            value,
            twin.read_text(encoding="utf-8") if twin.exists() else None,
            done.output,
        )
