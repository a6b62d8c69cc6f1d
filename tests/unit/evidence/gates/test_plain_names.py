"""Codes of the launch procedure stand beside a plain name wherever the tool speaks of them."""

import re
from pathlib import Path

from evidence.gates.gate_commands import gate_group

ROOT = Path(__file__).resolve().parents[4]
CODE = re.compile(r"\bPR-[A-Z]{1,2}\b")
NAMED = re.compile(r"[a-z]\w* \(PR-[A-Z]{1,2}\)")


def test_each_code_in_a_help_has_its_name_before_it_and_a_row_in_the_glossary() -> None:
    glossary = (ROOT / "docs/GLOSSARY.md").read_text()
    rows = set(re.findall(r"^\| (PR-[A-Z]+) \|", glossary, flags=re.MULTILINE))
    seen: set[str] = set()
    for name, command in gate_group.commands.items():
        helps = [getattr(param, "help", None) or "" for param in command.params]
        for text in (command.help or "", *helps):
            codes = CODE.findall(text)
            seen.update(codes)
            assert len(codes) == len(NAMED.findall(text)), f"{name}: {text}"
    assert {"PR-BC", "PR-BD", "PR-BE", "PR-BI", "PR-BJ", "PR-J", "PR-K"} <= seen <= rows
    assert "docs/GLOSSARY.md" in (gate_group.help or "")


def test_each_code_of_the_documents_is_in_the_glossary() -> None:
    glossary = (ROOT / "docs/GLOSSARY.md").read_text()
    for page in ("docs/RUNBOOK.md", "docs/artifacts.md", "README.md"):
        text = (ROOT / page).read_text()
        assert {code for code in CODE.findall(text) if f"| {code} |" not in glossary} == set(), page
        assert not CODE.search(text) or "GLOSSARY.md" in text, f"{page} does not name the glossary"
