"""The whole jobs of dry mass: time-lapses measured, a forecaster trained, cells judged. Not here: what a step computes."""
