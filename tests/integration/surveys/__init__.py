"""Surveys from the door to the rows that stand."""
