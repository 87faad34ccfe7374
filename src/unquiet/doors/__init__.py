"""The live doors: OTLP over HTTP and gRPC, and turns as JSON lines; a body is in the log before it is acknowledged."""
