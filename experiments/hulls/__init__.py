"""Where test data lie relative to the hull of the training data."""
