"""Control plane: the socket through which people stop, start and ask, and their tool."""
