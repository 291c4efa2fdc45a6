"""cspine: cervical-spine models on edge devices."""
