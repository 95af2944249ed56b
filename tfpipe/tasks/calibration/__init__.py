"""What scores mean and what is decided by them: calibration, thresholds, answers held back."""
