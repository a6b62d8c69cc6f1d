"""Binance Spot as a server speaks it: requests in, answers and events out. Pure.

The simulated venue and the gateway both serve it. The adapter's own codec (the modules beside this
package) stands on the other side of the wire: neither imports the other, so each judges the other.
"""
