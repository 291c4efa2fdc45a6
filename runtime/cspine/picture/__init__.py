"""Parts of the picture that is made of findings."""
