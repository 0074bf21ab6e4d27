"""Who is told what of pipes: attacks on the gate, incidents, the allowance, presence."""
