"""What a person wrote, as a record takes it."""


def one_line(text: str, *, chars_max: int | None = None) -> str:
    """The text on one line: what no terminal should be shown becomes a space; cut at `chars_max`.

    Line ends of a pasted text, control and direction characters, and bytes that were no UTF-8 (as
    lone surrogates) are such.
    """
    return "".join(char if char.isprintable() else " " for char in text).strip()[:chars_max]
