"""The detector phase: trains dense heads on stored feature maps."""
