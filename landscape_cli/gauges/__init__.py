"""Which copies of a network count as the same."""
