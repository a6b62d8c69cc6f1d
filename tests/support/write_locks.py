"""Write `requirements.lock` and `requirements-dev.lock`: `python -m tests.support.write_locks`.

One resolution over everything that `pyproject.toml` asks for gives the versions. The product runs
on `requirements.lock`; the package, the image and `make demo` install it alone. All else stands in
`requirements-dev.lock`, in a section for each dependency group that holds what the sections above
it do not; `make` installs a section when a target needs it. Needs `uv` on the path. Pins that still
fit are kept; delete a lock to take the newest of all.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "requirements.lock"
DEV = ROOT / "requirements-dev.lock"
GROUPS = ("dev", "bench", "fuzz", "judges", "docs")
_UV = (
    *("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"),
    *("--no-annotate", "--no-emit-index-url", "pyproject.toml", "--group", "build"),
)


def sections(text: str) -> dict[str, str]:
    """The sections of the lock for development: group -> its pins, in their order."""
    parts = re.split(r"^# group (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def pins(text: str) -> dict[str, str]:
    """Package -> its pin with version, marker and hashes."""
    found = re.findall(r"^\S+==.*\\\n(?:    --hash=\S+(?: \\)?\n)+", text, flags=re.MULTILINE)
    return {pin.partition("==")[0]: pin for pin in found}


def compiled(groups: tuple[str, ...], kept: str) -> dict[str, str]:
    """What the resolver pins for the product and these groups; pins of `kept` are preferred."""
    wanted = [word for group in groups for word in ("--group", group)]
    out = ROOT / "build" / "compiled.lock"
    out.parent.mkdir(exist_ok=True)
    out.write_text(kept)
    subprocess.run([*_UV, *wanted, "--output-file", str(out)], cwd=ROOT, check=True)
    return pins(out.read_text())


def main() -> None:
    """Compile everything once, then each group with those versions, and write both locks."""
    kept = "".join(path.read_text() for path in (RUN, DEV) if path.exists())
    widest = compiled(GROUPS, kept)
    everything = "".join(widest.values())
    written = compiled((), everything)
    RUN.write_text("".join(written.values()))
    text = ""
    for number, group in enumerate(GROUPS, start=1):
        more = compiled(GROUPS[:number], everything)
        # With the marker of the whole: a later group may need on Linux what this one does not.
        text += f"# group {group}\n" + "".join(widest[name] for name in more if name not in written)
        written |= more
    DEV.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
