"""Pages that people open: what every page needs, and the page of the night, which belongs to no science."""
