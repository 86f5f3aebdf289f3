"""Ways to join two networks by a path: each class has one verb, `connect`."""
