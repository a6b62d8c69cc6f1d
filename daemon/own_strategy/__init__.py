"""A strategy of a user's own: its template, a bench for its tests, its check, and a run of it."""
