"""The gateway: bots speak Binance Spot's protocol to it; it can wish and look, never send."""
