"""Where API keys come from."""
