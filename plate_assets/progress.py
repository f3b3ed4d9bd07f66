"""How long work tells how far it is.

Belongs here: the two shapes of callback that everything from a reader to a training takes. Not here: what a person sees of it
(`cli.shell`, `orchestration.metadata`).
"""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # how much is done, and of how much
ProgressOf = Callable[[str], Progress]  # the progress of one step of several, by what it is made of: "epochs", "windows"
