"""The documents of an operator: every command in them exists, with the options given to it."""

import re
import shlex
from pathlib import Path

import click
import pytest

from control.tool.mounted_commands import Tool
from tests.support.code_blocks import ShellBlock, shell_blocks

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "RUNBOOK.md").read_text()
GUIDE = (ROOT / "docs" / "TESTNET.md").read_text()
BLOCKS = [*shell_blocks(RUNBOOK), *shell_blocks(GUIDE)]
COMMAND = re.compile(
    r"(?:^|[|;&]\s*|do |then |asks |\$\()(seatrial [^|;&\n)>]*)", flags=re.MULTILINE
)


def joined(block: ShellBlock) -> str:
    """A block with its continued lines in one, without comments."""
    text = block.text.replace("\\\n", " ")
    return re.sub(r"(^|\s)# .*$", "", text, flags=re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """Words of every `seatrial …` in it; variables stand as one word."""
    found = [shlex.split(match[1]) for match in COMMAND.finditer(text)]
    return [[word for word in words if not word.startswith("${")] for words in found]


def problems(words: list[str]) -> list[str]:
    """What is wrong with one command line: unknown command, unknown option."""
    command: click.Command = Tool()
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        context = click.Context(command, info_name=words[0])
        child = command.get_command(context, rest[0])
        if child is None:
            if command.invoke_without_command:
                break
            return [f"{' '.join(words)}: no command {rest[0]!r}"]
        command, rest = child, rest[1:]
    known = {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}
    asked = [word.partition("=")[0] for word in rest if word.startswith("--")]
    return [f"{' '.join(words)}: no option {one}" for one in asked if one not in known]


def test_every_seatrial_command_of_the_runbook_exists() -> None:
    found = [words for block in BLOCKS for words in commands(joined(block))]
    assert len(found) > 40
    wrong = [problem for words in found for problem in problems(words)]
    assert not wrong, "\n".join(wrong)


def test_a_command_that_does_not_exist_is_found() -> None:
    assert problems(["seatrial", "launch"])
    assert problems(["seatrial", "kill", "--gently"])
    assert not problems(["seatrial", "kill", "--reason", "x"])
    assert commands("if x; then seatrial stop --reason 'a b'; fi") == [
        ["seatrial", "stop", "--reason", "a b"]
    ]


def test_every_step_of_the_launch_has_its_chapter() -> None:
    chapters = re.findall(r"^## (.+)$", RUNBOOK, flags=re.MULTILINE)
    begins = [
        "Preconditions",
        "Step 0",
        "Step 1",
        "Step 2",
        "Step 3",
        "Step 4",
        "Promotion",
        "Day 2",
    ]
    assert [chapter[: len(word)] for chapter, word in zip(chapters, begins, strict=True)] == begins


@pytest.mark.parametrize("alert", re.findall(r"`(Seatrial\w+)`", RUNBOOK))
def test_every_alert_that_it_names_is_a_rule(alert: str) -> None:
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    assert f"- alert: {alert}\n" in rules


def test_every_unit_that_it_names_is_there() -> None:
    named = set(re.findall(r"\b(seatriald?(?:-[a-z]+)?)@", RUNBOOK))
    there = {path.name.partition("@")[0] for path in (ROOT / "systemd").glob("*@.*")}
    assert named <= there


@pytest.mark.parametrize("name", ["RUNBOOK.md", "TESTNET.md", "METRICS.md"])
def test_every_link_and_every_metric_in_it_leads_somewhere(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (ROOT / "docs" / link).exists(), link
    table = (ROOT / "docs" / "METRICS.md").read_text()
    for metric in re.findall(r"`(seatrial_\w+)`", text):
        assert f"`{metric}`" in table, metric
