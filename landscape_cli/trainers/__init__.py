"""Parts of landscape: trainers."""
