"""Where other packages join: hook specifications, the manager, and our own defaults by the same door."""
