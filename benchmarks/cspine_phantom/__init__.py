"""Simulated studies with ground truth: phantoms, and the reference training on them.

A seed and a number make a patient (:mod:`~cspine_phantom.patients`), the patient a scene of
outlines in millimetres (``scene``), the scene a picture and a DICOM object (``imaging``) in which
something may have gone wrong (``faults``); with its truth that is a study, and many of them are a
case set (:mod:`~cspine_phantom.cases`). Networks are trained on them (``training``), and they are
measured themselves (``measure``). They stand in for no patient: a network that reads them well has
shown that the chain works, and nothing about people.
"""
