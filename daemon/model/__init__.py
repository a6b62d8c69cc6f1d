"""Ground floor: the words and values of the house. Standard library only, no I/O, no clock."""
