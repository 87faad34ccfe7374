"""The chain: turns -> sessions -> readings -> counts -> verdicts -> incidents."""
