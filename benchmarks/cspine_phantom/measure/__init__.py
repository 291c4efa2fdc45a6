"""What is measured on phantoms, and of them."""
