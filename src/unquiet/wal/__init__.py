"""The write-ahead log: request bodies, durable before they are acknowledged, read once they are drained."""
