"""seatriald: the daemon that trades on a testnet behind hard risk caps."""
