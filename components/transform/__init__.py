"""From the bytes of an image to what the model sees; the only place where an image is decoded."""
