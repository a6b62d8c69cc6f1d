"""Checks numbered ids for gaps: a missing number is a removed line."""


class Numbers:
    """Ids that end in a number, counted from one without a gap for each prefix."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def gap_before(self, name: str, mark: str) -> str:
        """Words for what is missing before this id; empty if nothing is, or it has no number."""
        prefix, _, digits = name.rpartition(mark)
        if not prefix or not digits.isdecimal():
            return ""
        number, due = int(digits), self._last.get(prefix, 0) + 1
        self._last[prefix] = max(number, due)
        return "" if number == due else f"{name} stands where {prefix}{mark}{due} is due"
