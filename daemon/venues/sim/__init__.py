"""The simulated venue: an exchange of its own, pure and seeded."""
