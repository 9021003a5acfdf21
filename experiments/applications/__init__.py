"""Uses of hull distance: other people's tables and embeddings, out-of-distribution scores, archetypes."""
