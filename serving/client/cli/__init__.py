"""`python -m serving.client`: ask a served model from the command line."""
