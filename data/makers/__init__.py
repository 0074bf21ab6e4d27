"""Makers of what no open data gives: seeded, plausible along the real streets, and labelled as simulated."""
