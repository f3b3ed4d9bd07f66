"""Measurements of speed and memory: ratios side by side in one run, as JSON. Run by hand: `make bench`."""
