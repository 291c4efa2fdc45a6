"""Sagittal MR of the neck: ossified ligament against worn discs, as a scanner would store it."""
