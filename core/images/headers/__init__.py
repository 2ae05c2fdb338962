"""Reads what a file header says of the pixels: EXIF orientation and depth of 16-bit PNG files.

Each rule has a Python and a TensorFlow implementation with equal results.
"""
