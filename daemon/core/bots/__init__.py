"""Bots: other people's programs, whose orders take the same road as everybody's, and no other."""
