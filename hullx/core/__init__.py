"""Column generation: the hull and its frame, one round of solve, score and certify, and the last digits."""
