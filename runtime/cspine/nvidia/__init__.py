"""What an NVIDIA device is, does and lacks, by files and NVIDIA's own programs alone."""
