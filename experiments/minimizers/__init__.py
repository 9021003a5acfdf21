"""What over-parameterized models learn, inside the hull of the training data and outside."""
