"""Plates: what a plate is, and how one gets in. It knows nothing of Dagster, storage back-ends or the sciences."""
