"""Exact projection onto a small pool of rows, by pivots of one tableau."""
