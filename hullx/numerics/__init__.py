"""Arithmetic: norms and their rounding, products with digits beyond float64, batches of queries, types of loops."""
