"""Case sets, metrics, verdicts and latency: NumPy only, so that it runs on a device too."""
