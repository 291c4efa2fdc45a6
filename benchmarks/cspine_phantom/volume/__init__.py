"""A neck in space, cut into slices: what MR and CT studies of phantoms have in common.

The vertebrae of a patient's radiograph are a column (:mod:`~cspine_phantom.volume.column`) in
space; bones, canal, throat and nape (:mod:`~cspine_phantom.volume.anatomy`) are cut by sagittal
planes into maps of tissues (:mod:`~cspine_phantom.volume.tissue`). How the patient lies
(:mod:`~cspine_phantom.volume.lying`), what every object says of patient and series
(:mod:`~cspine_phantom.volume.header`) and how a case set is written are the same, too. What narrows
a canal, and what a scanner makes of a tissue, is each modality's own.
"""
