"""Outputs of a finished run: report page, model card, TensorBoard events, predictions."""
