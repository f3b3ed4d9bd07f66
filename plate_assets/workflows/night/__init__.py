"""The night as a page and a message. Not here: which runs it had (`orchestration`), what a science says of it (`pages`)."""
