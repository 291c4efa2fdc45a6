"""Simulated lateral cervical radiographs as DX DICOM, with exact truth.

A seed and a number make a patient (:mod:`~cspine_phantom.patients`), the patient a set of outlines
in millimetres (:mod:`~cspine_phantom.anatomy`, or :mod:`~cspine_phantom.frontal` for the wrong
view), the outlines a picture and its label map (:mod:`~cspine_phantom.radiograph`), the picture a
DICOM object (:mod:`~cspine_phantom.dicom`), and many of them a case set
(:mod:`~cspine_phantom.cases`). They stand in for no patient: a network that reads them well has
shown that the software works, and nothing about a clinic.
"""
