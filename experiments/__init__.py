"""Recipes: how each question is asked, shipped as `landscape_cli.experiments`."""
