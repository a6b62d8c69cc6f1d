"""Bots: other people's programs, whose orders take the same route as everybody's, and no other."""
