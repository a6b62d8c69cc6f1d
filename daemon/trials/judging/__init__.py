"""What a course is, what was observed, and what follows from it: no I/O, no clock."""
