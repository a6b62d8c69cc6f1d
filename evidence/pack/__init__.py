"""Evidence packs and journal archives: signed containers."""
