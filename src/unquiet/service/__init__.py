"""The live service: configuration, wiring, the loop from log to incidents, delivery of alerts."""
