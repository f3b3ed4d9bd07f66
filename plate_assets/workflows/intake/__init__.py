"""How plates get in and out: an acquisition and its quality, inspection, export. Not here: any science."""
