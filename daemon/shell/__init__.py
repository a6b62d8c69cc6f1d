"""Imperative shell: loop, sockets, journal, metrics, clock, signals."""
