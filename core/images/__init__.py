"""Pixels: decoding, resizing, DICOM, overlays."""
