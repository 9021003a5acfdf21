"""Experiments: one file, one question. Start one with `python -m experiments.<name> [smoke|cpu|paper]`."""
