"""Orchestration: the only package that imports Dagster. Belongs here: partitions, assets, checks, sensors, schedules."""
