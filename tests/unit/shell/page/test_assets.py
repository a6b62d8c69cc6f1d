"""What the page is made of: a library as its authors wrote it, and nothing from elsewhere."""

import hashlib
import re

import pytest

from daemon.shell.page.page_site import ASSETS

UPLOT = ASSETS / "uplot"
OWN = ["page.html", "page.css", "page.js", "charts.js"]


def test_the_chart_library_is_byte_for_byte_what_its_table_says() -> None:
    rows = re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", (UPLOT / "README.md").read_text())
    assert {name for name, _ in rows} == {one.name for one in UPLOT.iterdir()} - {"README.md"}
    for name, digest in rows:
        assert hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() == digest, name
    assert "MIT" in (UPLOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", OWN)
def test_no_text_becomes_markup_and_nothing_is_fetched_from_elsewhere(name: str) -> None:
    text = (ASSETS / name).read_text()
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(banned, text)
    assert not re.search(
        r"""(src|href|url\(|fetch\(|EventSource\()\s*=?\s*["'(]*(https?:)?//""", text
    )


def test_no_script_and_no_style_stands_in_the_document() -> None:
    text = (ASSETS / "page.html").read_text()
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", text) == ["", "", ""]
    assert "<style" not in text
    assert not re.search(r"\son\w+=|\sstyle=", text)
