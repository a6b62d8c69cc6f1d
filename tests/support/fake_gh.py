"""A double of the `gh` binary: a real program on PATH that replays recorded answers.

`install(folder, recordings)` writes the program and its recordings. A recording is keyed by the
first two words of the command line; `run download ID` also writes the recorded files into `--dir`.
Every call is kept in `calls.jsonl`, so that a test can see what was asked.
"""

import json
import stat
import sys
from pathlib import Path

PROGRAM = """\
import json, pathlib, sys
here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
recordings = json.loads((here / "recordings.json").read_text())
key = " ".join(arguments[:2])
if key == "run download":
    key += " " + arguments[2]
answer = recordings.get(key)
if answer is None:
    sys.stderr.write("no recording of: " + key + "\\n")
    sys.exit(1)
for name, text in answer.get("files", {}).items():
    path = pathlib.Path(arguments[arguments.index("--dir") + 1], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
sys.stdout.write(answer.get("stdout", ""))
sys.stderr.write(answer.get("stderr", ""))
sys.exit(answer.get("exit", 0))
"""

NOT_LOGGED_IN = {
    "exit": 4,
    "stderr": "To get started with GitHub CLI, please run:  gh auth login\n"
    "Alternatively, populate the GH_TOKEN environment variable with a GitHub API token.\n",
}


def install(folder: Path, recordings: dict[str, dict]) -> Path:
    """Put `gh` into `folder`; returns the folder, to be set as PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "gh"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "recordings.json").write_text(json.dumps(recordings), encoding="utf-8")
    return folder


def calls(folder: Path) -> list[list[str]]:
    """Every command line that the double was asked, in order."""
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
