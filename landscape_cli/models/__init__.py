"""Parts of landscape: models."""
