"""Ids that count: a number that is left out is a line that was taken out."""


class Numbers:
    """Ids that end in a number, counted from one without a gap for each prefix."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def gap_before(self, name: str, mark: str) -> str:
        """What is absent before this id, in words; empty where nothing is, or it has no number."""
        prefix, _, digits = name.rpartition(mark)
        if not prefix or not digits.isdecimal():
            return ""
        number, due = int(digits), self._last.get(prefix, 0) + 1
        self._last[prefix] = max(number, due)
        return "" if number == due else f"{name} stands where {prefix}{mark}{due} is due"
