"""Cells that went wrong, found from their dry mass: phase, cells, tracks, windows, forecasts, anomalies."""
