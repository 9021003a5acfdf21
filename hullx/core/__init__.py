"""Column generation: the hull and its frame, rounds of solve, score and certify, and extended precision."""
