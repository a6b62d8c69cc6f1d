"""Drills: the controls are tried before they are needed."""
