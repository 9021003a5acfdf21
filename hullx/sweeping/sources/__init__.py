"""Where the points of a sweep live: on a device, on disk, on a mesh of devices."""
