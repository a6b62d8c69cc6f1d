"""The control plane: how an operator sees, stops and starts the daemon."""
