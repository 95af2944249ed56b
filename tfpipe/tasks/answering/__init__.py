"""Questions about contexts: windows, the best stretches in them, and SQuAD's figures."""
