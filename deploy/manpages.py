"""Man pages from the command lines' own help: `python deploy/manpages.py DIRECTORY`.

Run with the environment whose help is wanted; SOURCE_DATE_EPOCH dates the pages.
"""  # noqa: INP001 - a script, not a package

import datetime as dt
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from control.tool.mounted_commands import Tool
from daemon.cli.seatriald_command import main as daemon_command
from daemon.version import seatrial_version

SEATRIAL_EXITS = (
    ("0", "done"),
    ("1", "refused or failed; the message says why and what to do"),
    ("2", "the command line is wrong"),
    ("3", "the daemon cannot be reached"),
    ("4", "forbidden: your role may not do this"),
    ("5", "no answer in time: the outcome is unknown"),
    ("6", "stopped, but not latched: nothing of ours is open, and a restart would not know"),
)
SEATRIALD_EXITS = (
    ("0", "ended in order"),
    ("2", "configuration, credentials or state directory cannot be used; nothing was started"),
    ("70", "a broken invariant; the next boot recovers"),
)
FILES = (
    ("/etc/seatrial/NAME.toml", "configuration of the instance seatriald@NAME.service"),
    ("/var/lib/seatrial/NAME", "its state: journal, kill latch, identity"),
    ("/run/seatrial/NAME/control.sock", "its control socket, for members of seatrial-stop"),
    ("seatriald@NAME.socket", "unit by which systemd holds that socket over restarts; optional"),
)


def page(name: str, command: click.Command, also: str, exits: tuple[tuple[str, str], ...]) -> str:
    """One page in man(7)."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    date = dt.datetime.fromtimestamp(epoch, tz=dt.UTC).date().isoformat()
    text = _plain(command)
    summary, _, rest = text.partition("\n\n")
    lines = [
        f'.TH {name.upper()} 1 {date} "seatrial {seatrial_version()}" "User Commands"',
        ".SH NAME",
        f"{name} \\- {_escape(' '.join(summary.split()).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {name}",
        _escape(" ".join(command.collect_usage_pieces(_context(name, command)))),
        ".SH DESCRIPTION",
        *_paragraphs(rest or summary),
        ".SH OPTIONS",
        *_options(name, command),
    ]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        lines += _commands(name, command)
    lines.append(".SH EXIT STATUS")
    for code, meaning in exits:
        lines += [".TP", f".B {code}", _escape(meaning)]
    lines.append(".SH FILES")
    for path, meaning in FILES:
        lines += [".TP", f".I {path}", _escape(meaning)]
    lines += [".SH SEE ALSO", f".BR {also} (1),", ".BR systemctl (1)"]
    return "\n".join(lines) + "\n"


def _commands(path: str, group: click.Group) -> Iterator[str]:
    context = _context(path, group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield f".SS {_escape(f'{path} {name}')}"
            yield from _paragraphs(_plain(command))
            yield from _commands(f"{path} {name}", command)
            continue
        usage = " ".join(command.collect_usage_pieces(_context(name, command)))
        yield f".SS {_escape(f'{path} {name} {usage}')}"
        yield from _paragraphs(_plain(command))
        yield from _options(name, command)


def _options(name: str, command: click.Command) -> Iterator[str]:
    context = _context(name, command)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield ".TP"
            yield f".B {_escape(record[0])}"
            yield _escape(record[1]) or "See the description above."


def _context(name: str, command: click.Command) -> click.Context:
    return click.Context(command, info_name=name, max_content_width=200)


def _plain(command: click.Command) -> str:
    return (command.help or command.short_help or "").replace("\b\n", "").strip()


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield ".PP"
        yield _escape(" ".join(paragraph.split()))


def _escape(text: str) -> str:
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\\&" + plain if plain.startswith((".", "'")) else plain


def main(directory: Path) -> None:
    """Write both pages."""
    directory.mkdir(parents=True, exist_ok=True)
    pages = {
        "seatrial": page("seatrial", Tool(), "seatriald", SEATRIAL_EXITS),
        "seatriald": page("seatriald", daemon_command, "seatrial", SEATRIALD_EXITS),
    }
    for name, text in pages.items():
        (directory / f"{name}.1").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
