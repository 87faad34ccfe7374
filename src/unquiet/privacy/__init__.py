"""What may not reach a disk: patterns that are redacted and ids that are hashed."""
