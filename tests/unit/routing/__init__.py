"""Units of the road graph, its hierarchy, closures and answers."""
