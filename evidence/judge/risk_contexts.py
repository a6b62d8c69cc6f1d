"""Resolves the caps and filters that decisions name, and compares them with the session's.

Rules of this file:
1. A context is believed only when its digest is the hash of what its line says, and when that is
   what the session's own caps and the venue's own filters say. A decision that names another one,
   or one that no line before it states, cannot be decided.
2. A decision that carries its caps and filters itself (an older journal) is held against the same.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import orjson

from evidence.read.decision_inputs import CapsAndFilters, UndecidableError, stated_once
from evidence.read.journal_lines import (
    CapsChangedLine,
    InstrumentsLine,
    RiskContextLine,
    SessionStartLine,
)

PARTS = ("instrument_id", "caps_hash", "portfolio_caps", "caps", "filters")
KEPT_MAX = 64


class RiskContexts:
    """Contexts of one journal, and the caps and filters in force as other lines tell them."""

    def __init__(self) -> None:
        self.caps_hash = ""
        self._caps: Mapping[str, Any] | None = None
        self._portfolio: Mapping[str, Any] = {}
        """Those of them that are of no single symbol."""
        self._filters: dict[str, Mapping[str, Any]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._terms: dict[str | bytes, CapsAndFilters] = {}
        """By the digest of a context, or by the text of what a decision states itself."""
        self._wrong: dict[CapsAndFilters, list[str]] = {}
        """How each differs from what is in force."""

    # ------------------------------------------------------------------ what is in force
    def run_started(self) -> None:
        """Forget the caps at a boot; the next session states them."""
        self._in_force("", None)

    def session_started(self, record: SessionStartLine) -> None:
        """Take the caps of a session."""
        self._in_force(record.caps_hash, record.caps if isinstance(record.caps, dict) else None)

    def caps_changed(self, record: CapsChangedLine) -> None:
        """Take tightened caps, if the changes applied to the old caps give the new hash."""
        changed = _applied(self._caps, record.changes)
        fits = changed and _digest(changed) == record.new_hash
        self._in_force(record.new_hash, changed if fits else None)

    def _in_force(self, caps_hash: str, caps: Mapping[str, Any] | None) -> None:
        self.caps_hash, self._caps = caps_hash, caps
        self._portfolio = {key: value for key, value in (caps or {}).items() if key != "symbols"}
        self._wrong.clear()

    def instruments_told(self, record: InstrumentsLine) -> None:
        """Take the venue's filters."""
        self._wrong.clear()
        for one in record.instruments:
            if isinstance(one.get("instrument_id"), str):
                self._filters[one["instrument_id"]] = one

    # ------------------------------------------------------------------ contexts
    def learn(self, record: RiskContextLine) -> list[str]:
        """Take a context; returns what is wrong with it, and then does not take it."""
        plain = {part: getattr(record, part) for part in PARTS}
        if _digest(plain) != record.context:
            return ["the context's digest is not the hash of what the line says"]
        wrong = self._differences(plain)
        if not wrong:
            self._known[record.context] = plain
        return wrong

    def resolved(self, decision: Mapping[str, Any]) -> Mapping[str, Any]:
        """A decision's inputs with the caps and filters that it names.

        Raises:
            UndecidableError: no believable line before it states that context, or it states an
                input twice.
        """
        digest = decision.get("context")
        if digest is None:
            stated_once(decision)
            return decision
        context = self._known.get(digest) if isinstance(digest, str) else None
        if context is None:
            raise UndecidableError(f"no line before it states its context {str(digest)[:12]}…")
        if context["instrument_id"] != decision.get("instrument_id"):
            raise UndecidableError(f"its context is that of {context['instrument_id']}")
        beside = [part for part in PARTS if part in decision and decision[part] != context[part]]
        if beside:
            raise UndecidableError(f"it states another {beside[0]} than its context")
        resolved = {**decision, **context}
        stated_once(resolved)
        return resolved

    def terms_of(self, inputs: Mapping[str, Any]) -> CapsAndFilters | None:
        """The caps and filters of a resolved decision; None: it does not state them as others do.

        Raises:
            UndecidableError: they are no tables.
        """
        key = inputs.get("context")
        if key is None:
            try:  # the text tells 1, 1.0 and true apart, which are equal
                key = orjson.dumps([inputs[part] for part in PARTS])
            except (KeyError, TypeError):
                return None
        found = self._terms.get(key)
        if found is None:
            if len(self._terms) >= KEPT_MAX:
                self._terms.clear()
                self._wrong.clear()
            found = self._terms[key] = CapsAndFilters(inputs)
        return found

    def differences(
        self, decision: Mapping[str, Any], terms: CapsAndFilters | None = None
    ) -> list[str]:
        """How a decision's caps and filters differ from the session's and the venue's."""
        wrong = []
        if self.caps_hash and decision.get("caps_hash") != self.caps_hash:
            wrong.append("its caps are not the session's caps (caps_hash)")
        if terms is None:
            return [*wrong, *self._differences(decision)]
        known = self._wrong.get(terms)
        if known is None:
            known = self._wrong[terms] = self._differences(decision)
        return [*wrong, *known]

    def _differences(self, stated: Mapping[str, Any]) -> list[str]:
        wrong = []
        instrument_id = str(stated.get("instrument_id"))
        if self._caps is not None and stated.get("caps_hash") == self.caps_hash:
            symbols = self._caps.get("symbols")
            symbols = symbols if isinstance(symbols, dict) else {}
            mine = symbols.get(instrument_id) or symbols.get(instrument_id.partition("@")[0])
            is_stranger = instrument_id not in self._filters and stated.get("filters") is None
            if is_stranger and stated.get("caps") is None:
                mine = None  # the venue never told of it: the gate has no book to keep caps in
            if stated.get("caps") != mine or stated.get("portfolio_caps") != self._portfolio:
                wrong.append("its caps are not those that the session's start wrote down")
        told = self._filters.get(instrument_id)
        if told is not None and stated.get("filters") not in (None, told):
            wrong.append("its filters are not those that the venue told")
        return wrong


def _digest(plain: Mapping[str, Any]) -> str:
    """The hash of the canonical JSON: keys sorted, no blanks (records.py, risk_context)."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _applied(caps: Mapping[str, Any] | None, changes: object) -> dict[str, Any] | None:
    """The caps with dotted changes applied; None where they do not fit."""
    if caps is None or not isinstance(changes, dict):
        return None
    made: dict[str, Any] = json.loads(json.dumps(caps))
    for key, value in changes.items():
        table, name = made, str(key)
        if name.startswith("symbols."):
            symbol, _, name = name.removeprefix("symbols.").rpartition(".")
            table = made.get("symbols", {}).get(symbol)
            if not isinstance(table, dict):
                return None
        table[name] = value
    return made
