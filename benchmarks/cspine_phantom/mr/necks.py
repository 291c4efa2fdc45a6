"""The neck of a patient whose canal a disease has narrowed."""

from __future__ import annotations

from cspine_phantom.mr.disease import Disease, generator
from cspine_phantom.mr.grades import Narrowing
from cspine_phantom.mr.narrowed import narrowed
from cspine_phantom.mr.stenosis import canal
from cspine_phantom.patients import Patient
from cspine_phantom.volume.anatomy import Anatomy, assemble
from cspine_phantom.volume.column import column


def neck(patient: Patient, disease: Disease | Narrowing) -> Anatomy:
    """Return the neck of a patient with a disease, centred on the canal at C4/5."""
    rng = generator(patient.seed, patient.number, stream="anatomy")
    own = column(patient, rng=rng)
    if isinstance(disease, Narrowing):
        return assemble(patient, own, narrowed(own, disease, rng=rng), rng=rng)
    return assemble(patient, own, canal(own, disease, rng=rng), rng=rng)
