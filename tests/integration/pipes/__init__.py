"""Pipe networks over PostGIS and HTTP."""
