"""What over-parameterized models learn inside and outside the hull of the training data."""
