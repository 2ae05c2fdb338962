"""Reads a source folder: layout, file names, class labels, boxes, image properties."""
