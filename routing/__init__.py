"""WHERE TO: pure answers over a road graph (graph and costs in, routes out). No clock and no database in here."""
