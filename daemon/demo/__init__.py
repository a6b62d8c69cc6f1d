"""`seatrial demo`: a whole session between real processes, from market data to verdict."""
