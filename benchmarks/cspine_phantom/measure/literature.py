"""What is published of digital radiographs: ranges to hold the phantoms against, and by whom."""

from __future__ import annotations

import msgspec

from cspine_phantom.imaging.beam import hardness
from cspine_phantom.imaging.devices import Detector, Device


class Source(msgspec.Struct, frozen=True):
    """A publication, and what of it was read for the range.

    ``read`` is its abstract, a table or a paragraph; nothing for what is general knowledge.
    """

    citation: str
    read: str


SOURCES = {
    "Marshall 2011": Source(
        "N. W. Marshall, A. Mackenzie and I. D. Honey, Quality control measurements for digital "
        "x-ray detectors, Phys Med Biol 2011;56:979",
        "abstract",
    ),
    "Samei 2013": Source(
        "E. Samei, S. Murphy and O. Christianson, DQE of wireless digital detectors: comparative "
        "performance with differing filtration schemes, Med Phys 2013;40:081910",
        "abstract",
    ),
    "Samei 2003": Source(
        "E. Samei, Image quality in two phosphor-based flat panel digital radiographic detectors, "
        "Med Phys 2003;30:1747",
        "abstract",
    ),
    "Mackenzie 2007": Source(
        "A. Mackenzie and I. D. Honey, Characterization of noise sources for two generations of "
        "computed radiography systems using powder and crystalline photostimulable phosphors, "
        "Med Phys 2007;34:3345",
        "abstract",
    ),
    "Nakano 2002": Source(
        "Y. Nakano, T. Gido, S. Honda, A. Maezawa, H. Wakamatsu and T. Yanagita, Improved computed "
        "radiography image quality from a BaFI:Eu photostimulable phosphor plate, Med Phys 2002;29",
        "abstract",
    ),
    "Curylo 1996": Source(
        "L. J. Curylo, R. W. Lindsey, B. J. Doherty and A. LeBlanc, Segmental variations of bone "
        "mineral density in the cervical spine, Spine 1996;21:319: 17 specimens, absorptiometry in "
        "the lateral direction",
        "abstract",
    ),
    "Canon CXDI-50G": Source(
        "Canon CXDI-50G, operator's manual, clinical considerations: doses of screen-film of speed "
        "200 or 400; speed is 1000 µGy over the kerma",
        "paragraph",
    ),
    "IEC 62220-1": Source(
        "IEC 62220-1, Determination of the detective quantum efficiency: the noise power of a "
        "detector that quanta limit goes with one over the kerma",
        "",
    ),
}

DQE: dict[str, tuple[float, float, str]] = {
    # Six alike at 0.5 per mm; then 63 % and 74 % at frequency 0, 78 % at 0.15 per mm.
    "CsI": (0.60, 0.78, "Marshall 2011, Samei 2013, Samei 2003"),
    "GOS": (0.20, 0.38, "Samei 2003, Samei 2013"),
    # A powder plate and a needle plate, 4 uGy.
    "storage phosphor": (0.18, 0.43, "Mackenzie 2007"),
}
"""Detective quantum efficiency at low frequency of a beam of about 70 kV, by detector."""

# Of six detectors at 2.57 uGy and 0.5 per mm, with three times their variation of 6.5 %.
_CSI_NOISE_MM2 = 1.42e-5 * 2.57
_CSI_HALF_PER_MM = (1.29 - 3 * 0.05, 1.29 + 3 * 0.05)

# Noise power at 2 over that at 0.5 per mm of the two plates that are compared.
_PLATE_FALL = (0.307, 0.326)

_MINERAL_G_PER_CM2 = (0.348, 1.45)
"""Of vertebral bodies C4 to C6, least and most."""

_CORTICAL = 0.4242, 1.92  # attenuation in cm2/g at 50 keV, and density in g/cm3
_TISSUE = 0.2264, 1.06
_CALCIUM = 0.225, 0.399  # parts by mass of cortical bone (ICRU-44) and of hydroxyapatite

FILM_SPEED_UGY = (2.5, 5.0)
"""Air kerma behind the patient of the two common speeds."""


def noise_range(detector: Detector, *, kerma_ugy: float) -> tuple[float, float] | None:
    """Return the noise power, mm², at 0.5 per mm; None where none is published with its kerma."""
    if detector.material != "CsI":
        return None
    middle = _CSI_NOISE_MM2 / kerma_ugy
    return middle * (1 - 3 * 0.065), middle * (1 + 3 * 0.065)


def half_range(detector: Detector) -> tuple[float, float] | None:
    """Return the frequency, per millimetre, at which the transfer function is one half."""
    return _CSI_HALF_PER_MM if detector.material == "CsI" else None


def fall_range(detector: Detector) -> tuple[float, float] | None:
    """Return the noise power at 2 over that at 0.5 per millimetre."""
    return _PLATE_FALL if detector.material == "storage phosphor" else None


def contrast_range(device: Device) -> tuple[float, float]:
    """Return the contrast (natural logarithm) of a vertebral body to the soft tissue beside it.

    Bone mineral a square centimetre, as absorptiometry measures it, times what that much mineral
    stops as cortical bone less the soft tissue in whose place it is, less what scatter takes away.
    """
    bone_mu, bone_density = _CORTICAL
    tissue_mu, tissue_density = _TISSUE
    bone = bone_mu * hardness("bone", kev=device.kev)
    tissue = tissue_mu * hardness("tissue", kev=device.kev) * tissue_density / bone_density
    mineral = _CALCIUM[0] / _CALCIUM[1]  # of cortical bone that is mineral
    each = (bone - tissue) / mineral / (1 + device.scatter_left)
    low, high = _MINERAL_G_PER_CM2
    return low * each, high * each
