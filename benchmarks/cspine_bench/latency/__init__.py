"""The latency verdict: two arms in turn, and what may be said of their ratio."""
