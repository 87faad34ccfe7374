"""Where alerts go: a folder a sink."""
