"""The simulated venue on loopback: sockets around the pure exchange of `daemon.venues.sim`."""
