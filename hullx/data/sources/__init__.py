"""Sources of images, one per file: embedded in a package, in an .npz file, prepared by TensorFlow Datasets."""
