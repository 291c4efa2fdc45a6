"""The reference checkpoints, from phantoms."""
