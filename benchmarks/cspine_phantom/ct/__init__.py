"""CT studies of the neck: a canal that is narrow by bone, as a scanner would store them.

A patient (:mod:`cspine_phantom.patients`) has a narrow canal or none
(:mod:`~cspine_phantom.ct.disease`), which makes a neck of bodies in space
(:mod:`~cspine_phantom.ct.necks`). It is cut across by the planes of the scanner, through which the
patient does not lie straight (:mod:`~cspine_phantom.ct.slices`); tissues become Hounsfield units
(:mod:`~cspine_phantom.ct.hounsfield`), and those what a kernel and noise leave of them
(:mod:`~cspine_phantom.ct.reconstruct`). The series of a study (:mod:`~cspine_phantom.ct.scan`) are
written as single or as multi-frame objects, and many studies are a case set
(:mod:`~cspine_phantom.ct.cases`).
"""
