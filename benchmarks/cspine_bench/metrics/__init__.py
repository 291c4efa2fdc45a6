"""Metrics of all pipelines, with their intervals."""
