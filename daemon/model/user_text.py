"""What a person wrote, in a file or as a reason."""

import codecs

_OTHERS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAVE_AS = "it is UTF-16 or UTF-32; save the file as UTF-8"


def text_of(raw: bytes) -> str:
    """The text of a file that somebody wrote with any editor: UTF-8, with or without its mark.

    Raises:
        UnicodeDecodeError: it is not UTF-8, with the mend.
    """
    if raw.startswith(_OTHERS) or b"\0" in raw[:4]:
        raise UnicodeDecodeError("utf-8", raw, 0, min(4, len(raw)), _SAVE_AS)
    return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def one_line(text: str, *, chars_max: int | None = None) -> str:
    """The text on one line: what no terminal should be shown becomes a space; cut at `chars_max`.

    Line ends of a pasted text, control and direction characters, and bytes that were no UTF-8 (as
    lone surrogates) are such.
    """
    return "".join(char if char.isprintable() else " " for char in text).strip()[:chars_max]
