"""Arithmetic: norms and their rounding, products beyond float64 precision, batches of queries, loop types."""
