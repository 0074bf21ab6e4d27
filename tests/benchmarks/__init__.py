"""Benchmarks: each compares ours with a peer or a limit measured in the same run, and says whether the goal is met."""
