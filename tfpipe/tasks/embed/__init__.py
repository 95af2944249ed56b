"""The task `embed`: a vector for each text, near to those of similar texts."""
