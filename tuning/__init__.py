"""The search for good training settings: a trial is tfpipe.train with other values."""
