"""Settings of landscape: YAML files, shipped as the package `landscape_cli.conf`."""
