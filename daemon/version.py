"""What runs: version, commit, packages. Bound into `session_start`, shown by `--version`."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "aiohttp",
    "click",
    "cryptography",
    "msgspec",
    "orjson",
    "picows",
    "prometheus-client",
    "pydantic",
    "uvloop",
    "websockets",
)


def seatrial_version() -> str:
    """The installed version, from one place: pyproject.toml."""
    try:
        return version("seatrial")
    except PackageNotFoundError:
        return "0+uninstalled"


def commit() -> str:
    """The git commit: of the checkout, or as the package was made from it; else `unknown`."""
    root = Path(__file__).resolve().parent.parent
    stamp = root / "daemon" / "COMMIT"
    try:
        if stamp.exists():  # written by deploy/build-dist.sh
            return stamp.read_text().strip()
        head = (root / ".git" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        ref = head.removeprefix("ref: ")
        loose = root / ".git" / ref
        if loose.exists():
            return loose.read_text().strip()
        for line in (root / ".git" / "packed-refs").read_text().splitlines():
            if line.endswith(" " + ref):
                return line.split()[0]
    except OSError:
        pass
    return "unknown"


def packages() -> dict[str, str]:
    """Versions of what the daemon stands on."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def python_version() -> str:
    """The interpreter."""
    return f"{platform.python_implementation()} {sys.version.split()[0]}"
