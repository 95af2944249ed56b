"""Changes of texts that leave their meaning: as noise of training data, and to test a model."""
