"""Training: strategies, the training step, checkpoints, callbacks and the loop."""
