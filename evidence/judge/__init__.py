"""Judging: decisions decided again, sides compared, verdicts."""
