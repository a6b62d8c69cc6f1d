"""Functional core: the engine and its parts. Deterministic: same inputs, same effects."""
