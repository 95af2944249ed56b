"""Calibration of scores, thresholds and abstention."""
