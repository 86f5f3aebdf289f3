"""Benchmarks of landscape: `make bench` prints a table and saves JSON. Never part of the tests."""
