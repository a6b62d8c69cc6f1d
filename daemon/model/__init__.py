"""Ground floor: words and values of the house. Standard library and msgspec, no I/O, no clock."""
