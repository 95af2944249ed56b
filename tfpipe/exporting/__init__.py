"""Export of a run as a SavedModel: build, verify, gate, measure and publish."""
