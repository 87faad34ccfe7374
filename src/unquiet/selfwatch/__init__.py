"""unquiet watches itself: facts in, conditions out."""
