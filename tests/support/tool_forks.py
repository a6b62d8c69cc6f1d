"""Many runs of `seatrial` in one process: everything is imported once, each run is a fork.

    python -m tests.support.tool_forks < cases > results        (JSON lines)

A case is `{"words": […], "bad": "closed", "where": "stdout", "encoding": "ascii"}`; its result
has `code`, `stdout`, `stderr`. The child's streams are made as the interpreter makes them when it
starts (None for a closed descriptor), and it ends as the interpreter ends: with 120 when a last
flush fails.
"""

import contextlib
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from control import main
from control.tool.mounted_commands import Tool
from tests.support.bad_streams import BAD, NUMBERS

DEADLINE_S = 30


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of a tree, groups included."""
    if words:
        yield words
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None, name
            yield from leaves(found, (*words, name))


def run(case: dict[str, Any]) -> dict[str, Any]:
    """One case in a fork."""
    bad, number = case.get("bad", ""), NUMBERS[case.get("where", "stdout")]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with BAD[bad]() if bad else contextlib.nullcontext(-2) as descriptor:
            pid = os.fork()
            if pid == 0:
                _child(case, out, err, number, descriptor)
            _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "stdout": out.read().decode("utf-8", "replace"),
            "stderr": err.read().decode("utf-8", "replace"),
        }


def _child(
    case: dict[str, Any], out: IO[bytes], err: IO[bytes], number: int, descriptor: int
) -> None:
    signal.alarm(DEADLINE_S)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, out.fileno()), (2, err.fileno())):
        os.dup2(source, target)
    if descriptor == -1:
        os.close(number)
    elif descriptor >= 0:
        os.dup2(descriptor, number)
    encoding = case.get("encoding", "utf-8")
    made = []
    for target, mode in ((0, "r"), (1, "w"), (2, "w")):
        is_closed = descriptor == -1 and target == number
        errors = "backslashreplace" if target == 2 else "strict"
        made.append(
            None
            if is_closed
            else open(target, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        )
    sys.stdin, sys.stdout, sys.stderr = made  # type: ignore[assignment]
    sys.argv = ["seatrial", *case["words"]]
    code = 70
    try:
        main.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:  # noqa: BLE001 - whatever it is, it is told by the exit code
            code = 120
    os._exit(code)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        list(leaves(Tool()))
        gc.freeze()  # a fork shares what nobody collects
        for line in sys.stdin:
            sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
            for left in Path(directory).iterdir():
                shutil.rmtree(left)
