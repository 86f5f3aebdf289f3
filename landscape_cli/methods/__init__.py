"""Parts of landscape: methods."""
