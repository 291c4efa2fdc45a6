"""Detectors of two networks, and what lies between and after them, on the host.

A graph that every backend runs holds no proposals, no suppression and no RoIAlign. So a Faster
R-CNN comes as two graphs, the pyramid with its proposal head and the box head, and a
:class:`cspine.detection.spec.DetectorSpec` with all the numbers that the rest needs.
"""
