"""What tells how the daemon is: status, metrics, latencies, watchdog."""
