"""How well the verdicts keep what they promise: by simulation, and live."""
