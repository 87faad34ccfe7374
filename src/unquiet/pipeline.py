"""The chain of stages."""
