"""A radiograph as DICOM: opened, checked, shown; nothing but an allow-list of tags leaves it."""
