"""What experiments of several folders use."""
