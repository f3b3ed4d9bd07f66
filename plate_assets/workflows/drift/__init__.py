"""The whole jobs of drift: lines that are watched, files of vectors, tiles to label, stability. Not here: the tests."""
