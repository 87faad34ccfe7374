"""Labels: which turns to ask about, in which order, and how to put the question to a judge."""
