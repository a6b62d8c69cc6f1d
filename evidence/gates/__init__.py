"""The launch gates: one artifact a module, decided exactly as the launch procedure states it."""
