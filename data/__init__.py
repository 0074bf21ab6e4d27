"""City packs, makers of simulated things, and code tables with their sources. Knows layers by name only."""
