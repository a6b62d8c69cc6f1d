"""The operator's tool `seatrial`."""
