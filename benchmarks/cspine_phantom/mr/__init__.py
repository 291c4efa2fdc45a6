"""MR studies of the neck: ossified ligament against worn discs, as a scanner would store them.

A patient (:mod:`cspine_phantom.patients`) has a disease (:mod:`~cspine_phantom.mr.disease`), which
makes a neck of bodies in space (:mod:`~cspine_phantom.mr.necks`). It is cut in sagittal planes of
labels; labels become signal by a sequence (:mod:`~cspine_phantom.mr.tissue`), planes become slices
(:mod:`~cspine_phantom.mr.slices`), and slices become what a coil receives
(:mod:`~cspine_phantom.mr.receive`). The series of a study (:mod:`~cspine_phantom.mr.scan`) are
written as single or as multi-frame objects, and many studies are a case set
(:mod:`~cspine_phantom.mr.cases`).
"""
