"""The compiled part: energies, strings, level sets; it knows no networks, files or settings."""
