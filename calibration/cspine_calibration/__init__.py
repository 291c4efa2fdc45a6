"""One calibration table per model, and from it one INT8 graph per target."""
