"""What scripts/bench is made of: run (one program once), speed, startup, faults, kernel_swap (the measurements), report."""
