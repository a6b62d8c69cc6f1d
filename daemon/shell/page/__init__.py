"""The operator's page: read-only, for a browser on this machine. Imported when first asked for."""
