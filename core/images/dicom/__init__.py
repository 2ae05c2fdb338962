"""Reads, checks and renders DICOM radiographs; only allow-listed tags are kept."""
