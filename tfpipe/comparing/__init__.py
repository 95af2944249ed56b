"""Two models' answers to the same labelled texts: is one really better, and where."""
