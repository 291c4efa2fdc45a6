"""DICOM in: read, select, admit."""
