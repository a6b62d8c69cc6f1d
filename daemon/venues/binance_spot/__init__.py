"""Binance Spot: encode, sign, decode, classify. Pure translation."""
