"""What stands in the beam: outlines in millimetres, from the skull base to T1, and other parts."""
