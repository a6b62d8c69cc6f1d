"""Every way to stop: emergency stop, kill latch, end of the process."""
