"""The witness: countersigns the heads of other boxes' journals, each sequence number once."""
