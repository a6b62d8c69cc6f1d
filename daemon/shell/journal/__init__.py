"""The journal's files: writing, syncing, packing, reading back."""
