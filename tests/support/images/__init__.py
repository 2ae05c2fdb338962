"""Image files for tests: synthetic, DICOM, damaged and hostile."""
