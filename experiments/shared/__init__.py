"""Modules that experiments of several folders use."""
