"""What a box and its witness sign, byte for byte, and how the two speak (docs/ANCHORS.md).

Rules of this file:
1. A party is named by its Ed25519 public key, 32 bytes in hex: whoever reads a line can check it.
2. Each form begins with a name of its own, so that no signature of one kind passes for another.
"""

HEADS_PATH = "/v1/heads"
"""POST {box, seq, head, signature}: 200 with the countersigned line, 409 with a signed refusal."""
EXPORT_PATH = "/v1/export"
"""GET ?box=…&nonce=…: every line of a box, and a signed last line that counts them."""
NONCE_HEX_MAX = 64


def request_bytes(box: str, seq: int, head: str) -> bytes:
    """What the box signs: this is the head of my journal at this line."""
    return f"seatrial witness request 1\n{box}\n{seq}\n{head}\n".encode()


def countersigned_bytes(witness: str, box: str, seq: int, head: str, ts_ns: int) -> bytes:
    """What the witness signs: this box has shown me this head at this time, and no other."""
    return f"seatrial witness head 1\n{witness}\n{box}\n{seq}\n{head}\n{ts_ns}\n".encode()


def refusal_bytes(witness: str, box: str, seq: int, head: str, code: str) -> bytes:
    """What the witness signs when it will never sign this head: the wire cannot make it up."""
    return f"seatrial witness refusal 1\n{witness}\n{box}\n{seq}\n{head}\n{code}\n".encode()


def export_bytes(
    witness: str, box: str, *, lines: int, digest: str, ts_ns: int, nonce: str
) -> bytes:
    """What the witness signs over an export: so many lines with this SHA-256 are all I have."""
    text = f"seatrial witness export 1\n{witness}\n{box}\n{lines}\n{digest}\n{ts_ns}\n{nonce}\n"
    return text.encode()


def stamped_bytes(seq: int, head: str) -> bytes:
    """What a time stamp authority stamps (by its hash)."""
    return f"seatrial time stamp 1\n{seq}\n{head}\n".encode()
