"""INT8 of the published networks against what others make of them: ``make bench-int8``."""
