"""The gap: why the evals, the dashboards and the tickets did not say what unquiet saw, in numbers and without any I/O."""
