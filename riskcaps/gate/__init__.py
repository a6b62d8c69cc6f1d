"""Gate: the numbered rules, and the interceptor, which is the only mint of orders."""
