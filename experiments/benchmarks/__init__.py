"""How fast hullx is, next to other software."""
