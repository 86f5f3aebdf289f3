"""Optimizers that take networks through all levels: each class has one verb, `descend`."""
