"""DOORS: HTTP, OGC, tiles, pages and the browser's client. No SQL in here."""
