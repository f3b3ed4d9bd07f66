"""A science as small as one can be: how bright wells are, and which are brighter than those that a limit was learnt from."""
