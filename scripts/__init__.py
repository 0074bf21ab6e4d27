"""KEYS: the command line, loading a city, migrations."""
