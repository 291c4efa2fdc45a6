"""From a scene to a DICOM object: beam, detector, processing, header."""
