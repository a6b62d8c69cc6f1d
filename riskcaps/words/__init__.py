"""Words: the vocabulary of caps and of denials. Imports nothing of the floors above it."""
