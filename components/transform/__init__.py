"""Transform: decodes and resizes images to the model input, in training and in serving."""
