"""Checks of host, clock, key and account before a session may start."""
