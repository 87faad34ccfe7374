"""The pages and the JSON API of a running service."""
