"""The commands of the operator's tool that the daemon's side brings, one file each."""
