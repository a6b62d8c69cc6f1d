"""Strategies that ship with seatrial. They see a read-only view and answer with wishes."""
