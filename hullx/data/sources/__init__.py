"""Where images come from, a file for each: embedded in a package, in an .npz file, prepared by TensorFlow Datasets."""
