"""The training loop on Keras's `fit`: optimizer, callbacks, checkpoints, curves."""
