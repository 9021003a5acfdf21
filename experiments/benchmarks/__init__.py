"""Speed of hullx, compared with other software."""
