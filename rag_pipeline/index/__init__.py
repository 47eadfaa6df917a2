"""What is published: one transaction takes a source from one whole state to the next, or leaves it as it was."""
