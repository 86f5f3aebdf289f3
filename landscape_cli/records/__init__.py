"""Parts of landscape: records."""
