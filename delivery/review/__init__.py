"""The review of a change: the engine's events of a preview in, a comment that people read out."""
