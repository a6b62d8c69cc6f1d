"""The box of a demo: its configuration and its venue's key, in one directory."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from control.tool import caps_fit, init_wizard
from daemon.demo.plan import toml_text
from daemon.demo.processes import DemoError
from daemon.shell.link.symbol_facts import symbol_facts

HERE = Path(__file__).resolve().parent
CAPS_DIRECTORIES = (
    HERE / "caps",
    HERE.parents[1] / "deploy" / "caps",  # a checkout
    Path("/usr/share/seatrial/caps"),  # the Debian package
)


def write_box(
    home: Path, ready: Mapping[str, Any], symbols: Sequence[str], tables: Mapping[str, Any]
) -> Path:
    """Write configuration and key of a box in `home`; the configuration's path.

    Args:
        home: an existing directory; the state goes into `home/state`.
        ready: the line that the simulated venue printed.
        symbols: `venue.symbols`.
        tables: what else the configuration says; caps among them.
    """
    keys = home / "credentials.toml"
    keys.touch(mode=0o600)
    keys.write_text(toml_text({"api_key": ready["api_key"], "api_secret": ready["api_secret"]}))
    addresses = {name: ready[name] for name in init_wizard.SIM_URLS}
    config = home / "seatrial.toml"
    config.write_text(
        "# Written for a simulated venue. Every key is explained in docs/CONFIG.md.\n"
        + toml_text(
            {
                "state_dir": str(home / "state"),
                "venue": {"environment": "sim", "symbols": list(symbols), **addresses},
                "credentials": {"file": str(keys)},
                **tables,
            }
        )
    )
    return config


def fitted_caps(preset: str, symbols: Sequence[str], ready: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's caps for these symbols alone; limits are fitted to one that it does not know.

    Raises:
        DemoError: there is no such preset or file.
        ControlError: the caps cannot be fitted to a symbol.
    """
    urls = {name: str(ready[name]) for name in init_wizard.SIM_URLS}
    text, _ = caps_fit.fit(
        caps_file(preset).read_text(), symbols, lambda names: symbol_facts("sim", urls, names)
    )
    caps: dict[str, Any] = tomllib.loads(text)["caps"]
    caps["symbols"] = {name: row for name, row in caps["symbols"].items() if name in symbols}
    return caps


def caps_file(name: str) -> Path:
    """A preset by name, or a file by path.

    Raises:
        DemoError: naming the presets that exist.
    """
    if name.endswith(".toml"):
        return Path(name)
    for directory in CAPS_DIRECTORIES:
        path = directory / f"{name}.toml"
        if path.is_file():
            return path
    known = sorted({p.stem for d in CAPS_DIRECTORIES for p in d.glob("*.toml")})
    raise DemoError(f"no caps preset {name!r}; there are: {', '.join(known)} (or a file.toml)")
