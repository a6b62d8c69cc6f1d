"""The venue's connections: sessions, transports, queries, rate limits, market data."""
