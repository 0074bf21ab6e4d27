"""Networks of underground pipes: what hangs together, what to close, what runs too near, what a dig would meet."""
