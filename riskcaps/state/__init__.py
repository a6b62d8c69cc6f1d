"""State: what the gate has been told, and what that is worth. It decides nothing."""
