"""Parts of landscape: core."""
