"""Ground floor: the words and values of the house. Standard library and msgspec only, no I/O, no clock."""
