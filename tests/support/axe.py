"""axe-core on what a browser shows (`tests/system/axe-core/README.md`)."""

import hashlib
import re
from pathlib import Path
from typing import Any

from tests.support.browser import Browser

AXE = Path(__file__).resolve().parents[1] / "system" / "axe-core"
AUDIT = """axe.run(document, {resultTypes: ['violations']}).then(found => JSON.stringify(
  found.violations.map(
    one => [one.impact, one.id, one.nodes.map(n => n.target.join(' ')).slice(0, 3)])))"""


def serious_faults(browser: Browser) -> list[list[Any]]:
    """What axe calls serious or critical: impact, rule, the first elements."""
    text = (AXE / "axe.min.js").read_bytes()
    readme = (AXE / "README.md").read_text()
    digest = re.search(r"SHA-256 of `axe.min.js`: `([0-9a-f]{64})`", readme)
    assert digest
    assert hashlib.sha256(text).hexdigest() == digest[1], "not as its authors wrote it"
    browser.run(text.decode() + "; true")
    found: list[list[Any]] = browser.awaited(AUDIT)
    return [one for one in found if one[0] in {"serious", "critical"}]
