"""Checks of image content: file formats, and pixels that cannot be a chest X-ray."""
