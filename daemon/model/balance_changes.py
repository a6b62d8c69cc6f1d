"""The closed list of what a balance that our own fills do not explain can be.

Rules of this file:
1. Every such change gets one of these names, and stands in the `reconciled` line that found it.
2. What touches an asset that we trade, or that a cap speaks of, halts (promise P8). The rest is a
   fact of somebody else's: it is written down once, becomes the new basis, and stops nobody.
3. A balance tells how much, not why: a name is what the change looks like from here.
   `docs/TRIPWIRES.md` shows this table.
"""

from enum import StrEnum

import msgspec


class BalanceChange(StrEnum):
    """What a change looks like. The value is what the journal shows."""

    PASSING = "passing"
    OWED_FILL = "owed_fill"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    AIRDROP = "airdrop"
    FEE_ASSET = "fee_asset"
    DUST_CONVERSION = "dust_conversion"
    UNTRADED_DEPOSIT = "untraded_deposit"
    UNTRADED_WITHDRAWAL = "untraded_withdrawal"
    WIPE = "wipe"


class ChangeText(msgspec.Struct, frozen=True):
    """One row of the table: how it is told apart, and what follows."""

    seen: str
    follows: str


_HALTS = "halts with `position_mismatch` once it stands in two snapshots"
_FACT = "a line in `reconciled`; the new balance is the basis from then on, nothing stops"
_WAITS = "nothing: the next snapshot tells"
_C = BalanceChange
CHANGE_TEXT: dict[BalanceChange, ChangeText] = {
    _C.PASSING: ChangeText("Our books passed through this balance since the question.", _WAITS),
    _C.OWED_FILL: ChangeText(
        "An order on the asset has traded more, by the venue's word, than we have booked; for as "
        "long as a settling answer may take (20 s).",
        _WAITS,
    ),
    _C.DEPOSIT: ChangeText("An asset that we trade or that a cap names has risen.", _HALTS),
    _C.WITHDRAWAL: ChangeText("An asset that we trade or that a cap names has fallen.", _HALTS),
    _C.AIRDROP: ChangeText("An asset that we do not trade and had none of is there.", _FACT),
    _C.FEE_ASSET: ChangeText(
        "An asset that we do not trade, and that has paid fees of ours, has changed.", _FACT
    ),
    _C.DUST_CONVERSION: ChangeText(
        "Assets that we do not trade have gone, and one other has risen in the same snapshot.",
        "of the assets that went: " + _FACT + "; of the one that rose: the same, or halts where we "
        "trade it",
    ),
    _C.UNTRADED_DEPOSIT: ChangeText("An asset that we do not trade has risen.", _FACT),
    _C.UNTRADED_WITHDRAWAL: ChangeText("An asset that we do not trade has fallen.", _FACT),
    _C.WIPE: ChangeText(
        "Balances changed, and the venue no longer knows our last trades or orders.",
        "halts with `testnet_wipe` once it stands in two snapshots",
    ),
}
