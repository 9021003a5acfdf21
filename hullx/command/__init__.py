"""The command `hullx TRAIN TEST`: which rows of a table are outside the hull of another, how far, and in which features."""
