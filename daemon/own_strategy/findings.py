"""What a check of a strategy has found: the place, what is wrong, and the mend."""

import msgspec


class StrategyFinding(msgspec.Struct, frozen=True):
    """One problem. `line` 0: the file as a whole; `file` empty: no file, as of a parameter."""

    file: str
    line: int
    what: str
    mend: str

    def text(self) -> str:
        """`FILE:LINE: what; mend`."""
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.what}; {self.mend}"
