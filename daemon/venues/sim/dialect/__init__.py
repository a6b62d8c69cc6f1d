"""Binance Spot's wire language, spoken from the venue's side: text in, JSON values out. Pure."""
