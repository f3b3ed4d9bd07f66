"""What corrupted images do to a detector, to an embedding, and to the tests of drift: measured, tabled, drawn.

Belongs here: measures on scores and vectors (`quality`), alarms of the drift tests (`alarms`), their tables and figures. Not
here: the corruptions themselves (`drift.corruptions`), scoring and embedding of tiles (`workflows.drift.stability`).
"""
