"""Venue code: translation only. Bytes to reports, orders to bytes; no sockets, no clocks."""
