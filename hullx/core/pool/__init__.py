"""Exact projection onto a small pool of rows: the rule by which a row enters, and two kernels of linear algebra."""
