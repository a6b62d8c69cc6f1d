"""What belongs to the process: clock, tasks, signals, log streams, locks, disk, systemd."""
