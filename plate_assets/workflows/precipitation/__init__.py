"""The whole jobs of precipitation: tiles, training, scores, calls, report. Not here: what a step computes (the science)."""
