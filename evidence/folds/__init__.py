"""Folds: one pass over the lines, each answering one kind of question."""
