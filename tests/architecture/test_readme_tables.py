"""The README's generated table is the code's.

Write it anew: `python -m tests.architecture.test_readme_tables`.
"""

from pathlib import Path

from riskcaps.denials import DenyReason, reasons_table

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- reasons: begin -->", "<!-- reasons: end -->"


def with_table(text: str) -> str:
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{reasons_table().strip()}\n{END}{tail}"


def test_the_table_of_denials_is_not_stale() -> None:
    text = README.read_text()
    assert BEGIN in text
    assert with_table(text) == text, "python -m tests.architecture.test_readme_tables"
    assert all(f"`{reason.value}`" in text for reason in DenyReason)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
