"""Assets, by what they are about. Each takes its inputs, calls a workflow or a science, and says what a person wants to see."""
