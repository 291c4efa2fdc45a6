"""MR and CT: from a study to the stack of slices that a pipeline judges."""
