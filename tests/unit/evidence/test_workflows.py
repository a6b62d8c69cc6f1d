"""The workflows, checked as text (there is no YAML reader among our packages) and by what they run.

Each rule is tried against a text that breaks it first, so that it cannot pass by matching nothing.
"""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from daemon.cli.preflight_command import preflight_command
from daemon.settings import load_config
from evidence.gates import bundle, dashboard, stability
from evidence.gates.event_producer import produce
from evidence.gates.gate_commands import gate_group

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINS = {
    "actions/checkout": ("11bd71901bbe5b1630ceea73d27597364c9af683", "v4.2.2"),
    "actions/setup-python": ("a26af69be951a213d495a4c3e4e4022e16d87065", "v5.6.0"),
    "actions/upload-artifact": ("ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
}
"""Release commits as they stand in many public workflows; a new one is looked up there first."""
FORBIDDEN = {
    "a verdict is swallowed": re.compile(r"\|\|\s*(true|:|exit 0)\b|continue-on-error|set \+e"),
    "a foreign pull request gets rights": re.compile(r"pull_request_target|workflow_run:"),
    "a job is switched off": re.compile(r"if:\s*(\$\{\{\s*)?false"),
    "all rights at once": re.compile(r"permissions:\s*(write-all|read-all)"),
    "a right to write": re.compile(r"^\s+[a-z-]+:\s*write\b", re.MULTILINE),
    "mock evidence": re.compile(r"mock", re.IGNORECASE),
    "a secret in a command": re.compile(r"run:.*secrets\."),
}


def text_of(path: Path) -> str:
    """The workflow without its comment lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#")) + "\n"


def commands_of(text: str) -> list[str]:
    """Every shell text of a workflow, one step each."""
    found = []
    lines = text.splitlines()
    for index, line in enumerate(lines):
        match = re.match(r"(\s*)(?:- )?run: (.*)", line)
        if match is None:
            continue
        if match[2] != "|":
            found.append(match[2])
            continue
        depth = len(match[1])
        block = []
        for later in lines[index + 1 :]:
            if later.strip() and len(later) - len(later.lstrip()) <= depth:
                break
            block.append(later.strip())
        found.append("\n".join(block))
    return found


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return request.param


def test_the_workflows_of_the_procedure_are_there():
    assert {path.name for path in WORKFLOWS} == {
        *("ci.yml", "scorecards.yml", "prbc-stability-gate.yml", "prbg-execution-evidence.yml"),
        *("prbj-testnet-exec-events.yml", "prj-scheduled-smoke.yml", "prk-status-report.yml"),
    }
    names = {path.name for path in WORKFLOWS}
    assert {stability.PRK_WORKFLOW, stability.PRJ_WORKFLOW} <= names
    assert {bundle.WORKFLOW, dashboard.WORKFLOW} <= names


def unpinned(text: str) -> list[str]:
    """Every `uses:` that is not one of the known release commits."""
    good = {f"{name}@{commit} # {tag}" for name, (commit, tag) in PINS.items()}
    return [used for used in re.findall(r"uses:\s*(.+)", text) if used.strip() not in good]


def test_every_action_is_pinned_to_a_known_commit(workflow):
    assert unpinned("      - uses: actions/checkout@v4\n")
    assert unpinned(f"  uses: actions/checkout@{'0' * 40} # v4.2.2\n")
    text = workflow.read_text(encoding="utf-8")
    assert "uses:" in text
    assert unpinned(text) == []


BROKEN = {
    "a verdict is swallowed": "run: seatrial gate stability || true",
    "a foreign pull request gets rights": "on:\n  pull_request_target:",
    "a job is switched off": "    if: ${{ false }}",
    "all rights at once": "permissions: write-all",
    "a right to write": "    permissions:\n      contents: write",
    "mock evidence": "--mock-profile ok",
    "a secret in a command": 'run: echo "${{ secrets.KEY }}"',
}


@pytest.mark.parametrize("rule", sorted(FORBIDDEN))
def test_what_no_workflow_may_do(workflow, rule):
    assert FORBIDDEN[rule].search(BROKEN[rule])
    assert FORBIDDEN[rule].search(text_of(workflow)) is None


def test_rights_start_at_none_and_every_job_has_an_end(workflow):
    text = text_of(workflow)
    assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)
    jobs = text.split("\njobs:\n", 1)[1]
    count = len(re.findall(r"^  [a-z-]+:$", jobs, re.MULTILINE))
    assert count >= 1
    assert len(re.findall(r"^    timeout-minutes: \d+$", jobs, re.MULTILINE)) == count
    assert len(re.findall(r"^    permissions:$", jobs, re.MULTILINE)) == count
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


def test_no_expression_stands_inside_a_shell_text(workflow):
    commands = commands_of(text_of(workflow))
    assert commands
    assert [command for command in commands if "${{" in command] == []


def test_whatever_happens_the_artifacts_are_uploaded(workflow):
    steps = re.split(r"\n      - ", text_of(workflow))
    uploads = [step for step in steps if "actions/upload-artifact@" in step]
    assert uploads or workflow.stem == "ci"
    for upload in uploads:
        assert "if: ${{ always() }}" in upload
        assert "if-no-files-found: error" in upload


def tool_calls(text: str) -> list[list[str]]:
    """Every call of the gates and of the producer, as words."""
    calls = []
    for command in commands_of(text):
        for line in command.splitlines():
            if "evidence." in line:
                words = shlex.split(line)
                calls.append(words[words.index("-m") + 1 :])
    return calls


def test_every_call_fits_the_command_that_it_calls(workflow):
    for module, *words in tool_calls(text_of(workflow)):
        command: click.Command = produce
        if module == "evidence.gates":
            command = gate_group.commands[words.pop(0)]
        else:
            assert module == "evidence.producer"
        command.make_context("workflow", words)


def test_the_chain_of_the_scorecards_is_whole():
    text = text_of(ROOT / ".github/workflows/scorecards.yml")
    names = [words[1] if words[0] == "evidence.gates" else words[0] for words in tool_calls(text)]
    assert names == [
        *("stability", "prj-status", "prk-health", "bundle", "evidence.producer"),
        *("live-readiness", "shadow-testnet", "dry-run", "live-pilot"),
    ]


def test_the_bounded_session_has_a_configuration_that_loads(tmp_path):
    text = (ROOT / ".github/workflows/prbj-testnet-exec-events.yml").read_text(encoding="utf-8")
    block = re.search(r"<<'TOML'\n(.*?)\n\s*TOML\n", text, re.DOTALL)
    assert block is not None
    assert "cat deploy/caps/testnet-strict.toml >> run/seatrial.toml" in text
    caps = (ROOT / "deploy/caps/testnet-strict.toml").read_text(encoding="utf-8")
    written = "\n".join(line.strip() for line in block[1].splitlines()) + "\n" + caps
    path = tmp_path / "seatrial.toml"
    path.write_text(written, encoding="utf-8")
    config = load_config(path)
    assert config.settings.venue.environment == "binance-spot-testnet"
    symbols = set(config.settings.venue.symbols)
    assert symbols <= set(tomllib.loads(caps)["caps"]["symbols"])


def test_the_bounded_session_starts_only_after_gates_drills_and_preflight():
    text = text_of(ROOT / ".github/workflows/prbj-testnet-exec-events.yml")
    gates = [words[1] if words[0] == "evidence.gates" else words[0] for words in tool_calls(text)]
    assert gates == [
        *(
            "stability",
            "prj-status",
            "prk-health",
            "live-readiness",
            "evidence.producer",
        ),
        *("shadow-testnet", "dry-run", "evidence.producer"),
    ]
    lines = [line for command in commands_of(text) for line in command.splitlines()]
    called = [
        words[1:] for line in lines if (words := shlex.split(line))[:1] == [".venv/bin/seatrial"]
    ]
    names = [words[0] for words in called]
    assert names == ["demo", "drill", "preflight", "start", "stop", "shutdown", "kill"]
    preflight_command.make_context("workflow", called[2][1:])
    assert lines.index(next(line for line in lines if "dry-run" in line)) < next(
        number for number, line in enumerate(lines) if "seatrial preflight" in line
    )


def test_the_bounded_session_uploads_under_the_name_that_the_bundler_wants():
    text = (ROOT / ".github/workflows/prbj-testnet-exec-events.yml").read_text(encoding="utf-8")
    assert "name: testnet_execution_events_jsonl\n" in text
    assert f"path: {bundle.EVENTS_NAME}\n" in text


def test_secrets_are_of_the_testnet_and_only_in_one_step():
    for path in WORKFLOWS:
        secrets = re.findall(r"secrets\.(\w+)", text_of(path))
        assert all(name.startswith("TESTNET_") for name in secrets)
        assert len(secrets) == (2 if path.stem == "prbj-testnet-exec-events" else 0)
