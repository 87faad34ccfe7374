"""Pages for people: each is a document of one schema, as HTML and as its `.json` twin."""
