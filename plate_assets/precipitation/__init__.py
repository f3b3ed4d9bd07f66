"""Precipitation: which wells and conditions have precipitated (Yasuno). Arrays and tables in, arrays and tables out."""
