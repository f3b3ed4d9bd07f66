"""Workflows: whole jobs without Dagster. The assets and the command call the same function, so that numbers cannot differ."""
