"""The stages of a pipeline, each a few pure functions on arrays."""
