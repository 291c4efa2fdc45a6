"""What goes wrong with a film."""
