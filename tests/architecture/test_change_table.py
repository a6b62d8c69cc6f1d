"""ARCHITECTURE's table "To change X, open Y" names files that exist, with what is in them."""

import re

from tests.architecture.tree import files, text_of

REQUESTS = 12
CAP_FILES_MAX = 5
PLACE = re.compile(r"`([\w/.]+\.(?:py|yml))` \(`(\w+)`\)")


def rows() -> list[list[str]]:
    """The cells of every row."""
    _, _, rest = text_of("ARCHITECTURE.md").partition("\n## To change X, open Y\n")
    table = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def test_every_request_has_a_row_and_its_count_is_that_of_the_files_that_it_names() -> None:
    found = rows()
    assert len(found) == REQUESTS
    for what, places, before, now in found:
        named = {path for path, _ in PLACE.findall(places)}
        assert len(named) == int(now), what
        assert int(before.partition("-")[0]) >= int(now), what
        assert len(re.findall(r"`[\w/.]+/[\w.]+`", places)) == len(PLACE.findall(places)), what


def test_every_file_that_it_names_exists_and_holds_what_to_look_for() -> None:
    known = set(files())
    for what, places, *_ in rows():
        for path, symbol in PLACE.findall(places):
            assert path in known, f"{what}: {path}"
            assert re.search(rf"\b{symbol}\b", text_of(path)), f"{what}: {symbol} in {path}"


def test_a_cap_takes_at_most_five_product_files() -> None:
    """Counted from the tree: who names the newest cap by its key or its denial."""
    product = [name for name in files() if name.startswith(("daemon/", "riskcaps/", "evidence/"))]
    touching = {
        name
        for name in product
        if name.endswith(".py") and re.search(r"symbols_traded|SYMBOLS_TRADED", text_of(name))
    }
    told = {path for path, _ in PLACE.findall(rows()[0][1])}
    assert touching == told
    assert len(touching) <= CAP_FILES_MAX
