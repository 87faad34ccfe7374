"""Readings into counts: which events a session is counted for, and how many of them a tick holds."""
