"""Ways to damage a file, each drawn from a seeded generator: the same seed, the same mutant."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import pydicom
from fuzz_bases import Base, to_bytes
from pydicom import uid
from pydicom.encaps import generate_fragments
from pydicom.uid import UID

from cspine.dicom.codec import SYNTAXES

LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR"))
LONG |= {b"UT", b"UV"}
VRS = (*sorted(LONG), b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO")
VRS += (b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US", b"ZZ", b"\0\0", b"?Q")
UNDEFINED = 0xFFFFFFFF
PIXELS = (0x7FE0, 0x0010)
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)


@dataclass(frozen=True)
class Element:
    """Where an element of a file lies: its header, then its value up to the end."""

    tag: tuple[int, int]
    start: int
    length_at: int
    length_size: int
    value: int
    end: int
    explicit: bool


@dataclass
class Body:
    """A file laid open: bytes to mutate, where its elements lie, and how to close it again."""

    data: bytearray
    elements: list[Element]
    little: bool
    explicit: bool
    deflated_from: int | None

    def closed(self) -> bytes:
        if self.deflated_from is None:
            return bytes(self.data)
        head, rest = self.data[: self.deflated_from], self.data[self.deflated_from :]
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        packed = deflater.compress(bytes(rest)) + deflater.flush()
        return bytes(head) + packed + b"\0" * (len(packed) % 2)

    def number(self, value: int, size: int) -> bytes:
        return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little" if self.little else "big")

    def header(self, tag: tuple[int, int], vr: bytes, length: int) -> bytes:
        """Return an element's header as this file would write it."""
        head = self.number(tag[0], 2) + self.number(tag[1], 2)
        if not self.explicit or tag[0] == 0xFFFE:
            return head + self.number(length, 4)
        if vr in LONG:
            return head + vr + b"\0\0" + self.number(length, 4)
        return head + vr + self.number(length, 2)


def opened(base: Base) -> Body:
    """Lay a valid file open."""
    data = bytearray(base.data)
    elements: list[Element] = []
    start = _walk(data, 132, elements, explicit=True, little=True, group=2)
    deflated = start if base.syntax == uid.DeflatedExplicitVRLittleEndian else None
    if deflated is not None:
        data[start:] = zlib.decompress(bytes(data[start:]), -zlib.MAX_WBITS)
    explicit, little = not base.syntax.is_implicit_VR, base.syntax.is_little_endian
    _walk(data, start, elements, explicit=explicit, little=little)
    return Body(data, elements, little, explicit, deflated)


def _walk(
    data: bytearray,
    place: int,
    elements: list[Element],
    *,
    explicit: bool,
    little: bool,
    group: int | None = None,
    end: int | None = None,
) -> int:
    """Append the elements from a place on, nested ones after their sequence; return the end."""
    order = "<" if little else ">"
    end = len(data) if end is None else end
    while place + 8 <= end:
        tag = struct.unpack_from(f"{order}HH", data, place)
        if group is not None and tag[0] != group:
            break
        vr = bytes(data[place + 4 : place + 6])
        stated = explicit and tag[0] != 0xFFFE
        if not stated:
            length_at, size = place + 4, 4
        elif vr in LONG:
            length_at, size = place + 8, 4
        else:
            length_at, size = place + 6, 2
        length = int.from_bytes(data[length_at : length_at + size], "little" if little else "big")
        value = length_at + size
        nested = tag == ITEM or vr == b"SQ" or (not explicit and _keyword_vr(tag) == "SQ")
        over = length == UNDEFINED
        last = value if over else value + length
        elements.append(Element(tag, place, length_at, size, value, last, stated))
        if nested and not over and data[value : value + 2] != b"\xff\xd8":
            _walk(data, value, elements, explicit=explicit, little=little, end=last)
        place = last
    return place


def _keyword_vr(tag: tuple[int, int]) -> str:
    try:
        return pydicom.datadict.dictionary_VR(tag)
    except KeyError:
        return ""


Mutate = Callable[[Base, random.Random], bytes]


def truncate(base: Base, draw: random.Random) -> bytes:
    return base.data[: draw.randrange(len(base.data))]


def flip(base: Base, draw: random.Random) -> bytes:
    data = bytearray(base.data)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def splice(base: Base, draw: random.Random) -> bytes:
    """Delete, repeat or insert a run of bytes."""
    data, place = bytearray(base.data), draw.randrange(len(base.data))
    run = draw.choice((1, 2, 4, 8, 64, 4096))
    match draw.randrange(3):
        case 0:
            del data[place : place + run]
        case 1:
            data[place:place] = data[place : place + run]
        case _:
            data[place:place] = draw.randbytes(run)
    return bytes(data)


def _patched(change: Callable[[Body, random.Random], None]) -> Mutate:
    def mutate(base: Base, draw: random.Random) -> bytes:
        body = opened(base)
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            change(body, draw)
            if len(body.data) != len(opened(base).data):
                break  # the elements have moved
        return body.closed()

    return mutate


def _length(body: Body, draw: random.Random) -> None:
    at = draw.choice(body.elements)
    size = at.end - at.value
    length = draw.choice(
        [
            0,
            1,
            size - 1,
            size + 1,
            size + 2,
            2 * size,
            0x7FFFFFFF,
            UNDEFINED - 1,
            UNDEFINED,
            draw.getrandbits(8 * at.length_size),
            len(body.data),
        ]
    )
    body.data[at.length_at : at.value] = body.number(length, at.length_size)


def _vr(body: Body, draw: random.Random) -> None:
    at = draw.choice([each for each in body.elements if each.explicit])
    body.data[at.start + 4 : at.start + 6] = draw.choice(VRS)


def _tag(body: Body, draw: random.Random) -> None:
    at, other = draw.choice(body.elements), draw.choice(body.elements)
    tag = draw.choice(
        [
            other.tag,
            PIXELS,
            ITEM,
            ITEM_END,
            SEQUENCE_END,
            (0x0008, 0x0005),
            (0x5400, 0x0100),
            (0x0002, 0x0010),
            (0, 0),
            (0xFFFF, 0xFFFF),
            (draw.getrandbits(16), draw.getrandbits(16)),
        ]
    )
    body.data[at.start : at.start + 4] = body.number(tag[0], 2) + body.number(tag[1], 2)


def _elements(body: Body, draw: random.Random) -> None:
    """Delete, repeat or swap elements."""
    one, two = sorted(draw.sample(body.elements, 2), key=lambda each: each.start)
    first, second = body.data[one.start : one.end], body.data[two.start : two.end]
    match draw.randrange(3):
        case 0:
            del body.data[one.start : one.end]
        case 1:
            body.data[two.start : two.start] = first
        case _ if one.end <= two.start:
            body.data[two.start : two.end] = first
            body.data[one.start : one.end] = second


def _value(body: Body, draw: random.Random) -> None:
    """Fill a value with what text, numbers and UIDs are not made of."""
    at = draw.choice([each for each in body.elements if each.end > each.value])
    size = min(at.end - at.value, 64)
    body.data[at.value : at.value + size] = draw.choice(
        [
            draw.randbytes(size),
            b"\xff" * size,
            b"\0" * size,
            b"\\" * size,
            b"9" * size,
            b"-" * size,
            (b"1e999\\" * size)[:size],
            (b"\x1b$B\x1b(B" * size)[:size],
            ("\u202e" * size).encode()[:size],
            (b"NaN\\" * size)[:size],
        ]
    )


_NESTED = ((0x0008, 0x2218), (0x0054, 0x0220), (0x0028, 0x3010), (0x5200, 0x9230), (0x0009, 0x1001))


def _nest(body: Body, draw: random.Random) -> None:
    """Put sequences within sequences, or very many items, where they are read or are not."""
    tag = draw.choice(_NESTED)
    top = next(each for each in body.elements if each.tag[0] > 2)
    defined, depth = draw.random() < 0.5, draw.choice((2, 10, 31, 40, 200, 1500))
    if draw.random() < 0.3:
        inner = body.header(ITEM, b"", 0) * draw.choice((1000, 30_000, 300_000))
        depth = 1
    else:
        inner = body.header((0x0008, 0x0100), b"SH", 2) + b"AB"
        inner = body.header(ITEM, b"", len(inner)) + inner
    head, tail = bytearray(), bytearray()
    for _ in range(depth):
        if defined:
            inner = body.header(tag, b"SQ", len(inner)) + inner
            inner = body.header(ITEM, b"", len(inner)) + inner
        else:
            head += body.header(tag, b"SQ", UNDEFINED) + body.header(ITEM, b"", UNDEFINED)
            tail += body.header(ITEM_END, b"", 0) + body.header(SEQUENCE_END, b"", 0)
    if defined:
        inner = body.header(tag, b"SQ", len(inner)) + inner
    body.data[top.start : top.start] = bytes(head) + inner + bytes(tail)


def _meta(body: Body, draw: random.Random) -> None:
    own = [each for each in body.elements if each.tag[0] == 2]
    kept = body.elements
    body.elements = own
    draw.choice((_length, _vr, _tag, _elements, _value))(body, draw)
    body.elements = kept


def preamble(base: Base, draw: random.Random) -> bytes:
    """Damage, move or leave out the preamble."""
    data = base.data
    return draw.choice(
        [
            data[128:],
            data[132:],
            draw.randbytes(128) + data[128:],
            b"MZ" + data[2:],
            b"PK\3\4" + data[4:],
            b"\0" * draw.randrange(256) + data,
        ]
    )


def syntax(base: Base, draw: random.Random) -> bytes:
    """State another transfer syntax, in as many bytes."""
    stated = str(base.syntax).encode()
    others = [str(each) for each in SYNTAXES] + ["1.2.840.10008.1.2.4.100", "1.2.3", "neck", ""]
    other = draw.choice([each.encode() for each in others if len(each) <= len(stated) + 1])
    return base.data.replace(stated, other.ljust(len(stated), b"\0"), 1)


_NUMBERS: dict[str, tuple[object, ...]] = {
    "Rows": (0, 1, 95, 97, 4096, 65535),
    "Columns": (0, 1, 79, 81, 4096, 65535),
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 32, 64, 65535),
    "BitsStored": (0, 1, 8, 10, 16, 17, 65535),
    "HighBit": (0, 7, 15, 16, 65535),
    "PixelRepresentation": (0, 1, 2, 65535),
    "SamplesPerPixel": (0, 1, 3, 65535),
    "NumberOfFrames": (0, 1, 2, -1, 10**6, 2**31 - 1),
    "WindowCenter": ("1e308", "-1e308", "1", ["1", "2", "3"]),
    "WindowWidth": ("0", "-1", "1e-300", "1e308", ["0", "0"]),
    "RescaleSlope": ("0", "1e308", "-1", "1e-320"),
    "RescaleIntercept": ("1e308", "-1e308"),
    "ImagerPixelSpacing": (["0", "0"], ["1e-30", "1e30"], ["-1", "1"], "1"),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL_422", ""),
    "PixelPaddingValue": (0, 1, 4095, 65535),
    "PixelPaddingRangeLimit": (0, 4095, 65535),
    "PresentationLUTShape": ("INVERSE", "IDENTITY", "OTHER"),
    "VOILUTFunction": ("SIGMOID", "LINEAR_EXACT", "OTHER"),
}
_DESCRIPTORS = ([0, 0, 16], [65535, 0, 16], [1, 0, 16], [4096, 65535, 16], [256, 0, 8], [9, 9, 0])
_DESCRIPTORS += ([4096, 0, 99], [4096, 0], [0], [65535, 65535, 65535])


_EXTREMES = ("1e-320", "1e-30", "1e-9", "0.001", "0.01", "1", "5", "100", "1e9", "1e30", "1e35")
_EXTREMES += ("1e38", "1e308", "-1e30", "NaN", "inf", "-inf")
_SCALES = ("ImagerPixelSpacing", "PixelSpacing", "EstimatedRadiographicMagnificationFactor")
_SCALES += ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")


def scales(base: Base, draw: random.Random) -> bytes:
    """State spacing, magnification, rescale or window in numbers at or beyond reason."""
    dataset = pydicom.dcmread(BytesIO(base.data))
    for keyword in draw.sample(_SCALES, draw.choice((1, 1, 2, 3))):
        one, two = draw.choice(_EXTREMES), draw.choice(_EXTREMES)
        stated = one
        if keyword.endswith("Spacing"):
            stated = [one, draw.choice((one, one, two))]
        # As text: what a file may hold, and pydicom would not write as a number.
        dataset.add_new(keyword, "LO", stated)
    return to_bytes(dataset)


_OVERLAY = ((0x0010, "US"), (0x0011, "US"), (0x0015, "IS"), (0x0050, "SS"), (0x0051, "US"))
_OVERLAY += ((0x0100, "US"), (0x0102, "US"))


def overlay(base: Base, draw: random.Random) -> bytes:
    """State an overlay's size, origin, frames or bits in other numbers, or too few or many."""
    dataset = pydicom.dcmread(BytesIO(base.data))
    dataset.add_new((0x6000, 0x0010), "US", dataset.Rows)
    dataset.add_new((0x6000, 0x0011), "US", dataset.Columns)
    dataset.add_new((0x6000, 0x0100), "US", 1)
    dataset.add_new((0x6000, 0x3000), "OW", b"\x55" * (dataset.Rows * dataset.Columns // 8))
    for element, vr in draw.sample(_OVERLAY, draw.choice((1, 2, 4))):
        values = [draw.choice((0, 1, 2, 13, 16, 97, 32767)) for _ in range(draw.randrange(4))]
        dataset.add_new((0x6000, element), vr, values)
    if draw.random() < 0.3:
        del dataset[0x6000, 0x3000]
    return to_bytes(dataset)


def numbers(base: Base, draw: random.Random) -> bytes:
    """State other sizes, depths, counts, windows and tables than those of the pixels."""
    dataset = pydicom.dcmread(BytesIO(base.data))
    for keyword in draw.sample(sorted(_NUMBERS), draw.choice((1, 1, 2, 4))):
        setattr(dataset, keyword, draw.choice(_NUMBERS[keyword]))
        if keyword.startswith("PixelPadding"):
            dataset[keyword].VR = "US"
    for keyword in ("VOILUTSequence", "ModalityLUTSequence"):
        for item in dataset.get(keyword, []):
            match draw.randrange(4):
                case 0:
                    item.LUTDescriptor = draw.choice(_DESCRIPTORS)
                    item["LUTDescriptor"].VR = "US"
                case 1:
                    item.LUTData = item.LUTData[: draw.randrange(len(item.LUTData))]
                case 2:
                    item["LUTData"].VR = draw.choice(("OW", "UN"))
    for element, most in ((0x0010, 0xFFFF), (0x0011, 0xFFFF)):
        if (0x6000, element) in dataset and draw.random() < 0.5:
            dataset[0x6000, element].value = most
    return to_bytes(dataset)


def _framed(base: Base, fragments: list[bytes], table: bytes) -> bytes:
    """Return the file with other fragments; lengths are not mended."""
    body = opened(base)
    pixels = next(each for each in body.elements if each.tag == PIXELS)
    items = body.header(ITEM, b"", len(table)) + table
    for fragment in fragments:
        items += body.header(ITEM, b"", len(fragment)) + fragment
    body.data[pixels.value :] = items + body.header(SEQUENCE_END, b"", 0)
    return body.closed()


def _fragments(base: Base) -> list[bytes]:
    return list(generate_fragments(base.dataset.PixelData))[1:]


def fragments(base: Base, draw: random.Random) -> bytes:
    """Cut the code stream into fragments; leave some out, repeat, empty or swap them."""
    stream, size = b"".join(_fragments(base)), draw.choice((2, 100, 1000, 3000))
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    match draw.randrange(6):
        case 0:
            parts = [parts[0]] if draw.random() < 0.5 else parts[:-1]
        case 1:
            draw.shuffle(parts)
        case 2:
            parts.insert(draw.randrange(len(parts)), draw.choice(parts))
        case 3:
            del parts[draw.randrange(len(parts))]
        case 4:
            parts = [b""] * draw.choice((1, 1000, 100_000)) + parts
        case _:
            parts[-1] = parts[-1][:-1]
    return _framed(base, parts, b"")


def offsets(base: Base, draw: random.Random) -> bytes:
    """State a Basic or Extended Offset Table that is not true."""
    numbers = [draw.choice((0, 1, 8, 2**31, 2**32 - 1)) for _ in range(draw.choice((1, 2, 1000)))]
    parts = _fragments(base)
    if draw.random() < 0.5:
        return _framed(base, parts, struct.pack(f"<{len(numbers)}L", *numbers))
    dataset = pydicom.dcmread(BytesIO(base.data))
    dataset.ExtendedOffsetTable = struct.pack(f"<{len(numbers)}Q", *numbers)
    lengths = [draw.choice((0, 1, len(parts[0]), 2**63)) for _ in numbers]
    dataset.ExtendedOffsetTableLengths = struct.pack(f"<{len(lengths)}Q", *lengths)
    return to_bytes(dataset)


def stream_header(base: Base, draw: random.Random) -> bytes:
    stream = bytearray(b"".join(_fragments(base)))
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(min(len(stream), 160))
        stream[at] = draw.choice((0, 1, 255, draw.randrange(256)))
    return _framed(base, [bytes(stream)], b"")


def stream_body(base: Base, draw: random.Random) -> bytes:
    stream = bytearray(b"".join(_fragments(base)))
    match draw.randrange(4):
        case 0:
            stream = stream[: draw.randrange(len(stream))]
        case 1:
            at = draw.randrange(len(stream))
            stream[at : at + draw.choice((4, 64, 1024))] = b""
        case 2:
            at = draw.randrange(len(stream))
            stream[at:at] = draw.randbytes(draw.choice((1, 2, 64)))
        case _:
            for _ in range(draw.choice((1, 1, 4, 32))):
                stream[draw.randrange(len(stream))] = draw.randrange(256)
    return _framed(base, [bytes(stream)], b"")


def stream_size(base: Base, draw: random.Random) -> bytes:
    """State another size, depth or division in the code stream's own header."""
    stream = bytearray(b"".join(_fragments(base)))
    size = draw.choice((0, 1, 79, 97, 4096, 65535))
    if (siz := stream.find(b"\xff\x51")) == 2:
        field = draw.randrange(8)
        stream[siz + 6 + 4 * field : siz + 10 + 4 * field] = struct.pack(
            ">L", draw.choice((size, 8, 2**31, 2**32 - 1))
        )
        if draw.random() < 0.3:
            stream[siz + 38 : siz + 40] = struct.pack(">H", draw.choice((0, 2, 3, 16384)))
        cod = stream.find(b"\xff\x52")
        if draw.random() < 0.5:
            stream[cod + 4 + draw.randrange(10)] = draw.choice((0, 1, 8, 32, 33, 255))
        if draw.random() < 0.2:
            levels = stream[cod + 9]
            stream[cod + 4] |= 1
            stream[cod + 14 : cod + 14] = bytes([0] + [0x11] * levels)
            stream[cod + 2 : cod + 4] = struct.pack(">H", 13 + levels)
    else:
        marks = (b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7")
        at = next((stream.find(mark) for mark in marks if mark in stream), 0)
        where = draw.choice((4, 5, 7, 9))  # precision, rows, columns, components
        value = struct.pack(">H", size) if where in (5, 7) else bytes([size & 0xFF])
        frame = bytes(stream[at : at + 13])
        stream[at + where : at + where + len(value)] = value
        if draw.random() < 0.2:  # the true size first, then another
            stream[at:at] = frame
    return _framed(base, [bytes(stream)], b"")


def decoy(base: Base, draw: random.Random) -> bytes:
    """Put a header of the size that is stated where a decoder may not look, or does not."""
    stream = b"".join(_fragments(base))
    large = struct.pack(">L", draw.choice((81, 4096, 20_000)))
    if stream.startswith(b"\xff\x4f\xff\x51"):
        asks = stream[:8] + large + large + stream[16:24] + large + large + stream[32:]
        ihdr = _box(b"ihdr", large + large + b"\0\1\7\7\0\0")
        colour = _box(b"colr", b"\1\0\0" + struct.pack(">L", 17))
        made = _box(b"jP  ", b"\r\n\x87\n") + _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        made += _box(b"jp2h", ihdr + colour)
        made += _box(draw.choice((b"uuid", b"free", b"xml ")), bytes(16) + stream)
        return _framed(base, [made + _box(b"jp2c", asks)], b"")
    starts = [stream.find(bytes((0xFF, mark))) for mark in (0xC0, 0xC1, 0xC2, 0xC3, 0xF7)]
    at = min((start for start in starts if start > 0), default=0)
    if not at:
        return _framed(base, [stream], b"")
    frame, scan = stream[at : at + 13], b"\xff\xda\0\x08\1\1\0\0\x3f\0"
    mark = draw.choice((0xC0, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7))
    asks = bytes((0xFF, mark)) + frame[2:5] + large[2:] * 2 + frame[9:]
    match draw.randrange(4):
        case 0:  # a frame and scan that were passed over
            made = stream[:at] + asks + scan + stream[at:]
        case 1:
            made = stream[:at] + scan + asks + stream[at:]
        case 2:  # in what has no length, or is none of a segment
            made = stream[:at] + draw.choice((b"\xff\0", b"\xff\1", b"\xff\xd0", b"\0"))
            made += struct.pack(">H", 2 + len(asks)) + asks + stream[at:]
        case _:
            made = stream[:-2] + asks + stream[-2:]
    return _framed(base, [made], b"")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", 8 + len(content)) + kind + content


NATIVE: dict[str, Mutate] = {
    "truncate": truncate,
    "flip": flip,
    "splice": splice,
    "length": _patched(_length),
    "vr": _patched(_vr),
    "tag": _patched(_tag),
    "elements": _patched(_elements),
    "value": _patched(_value),
    "nest": _patched(_nest),
    "meta": _patched(_meta),
    "preamble": preamble,
    "syntax": syntax,
    "numbers": numbers,
    "scales": scales,
    "overlay": overlay,
}
COMPRESSED: dict[str, Mutate] = NATIVE | {
    "fragments": fragments,
    "offsets": offsets,
    "stream header": stream_header,
    "stream body": stream_body,
    "stream size": stream_size,
    "stream decoy": decoy,
}


def mutations(syntax: UID) -> dict[str, Mutate]:
    """Return the ways to damage a file of one syntax."""
    return NATIVE if SYNTAXES[syntax] == "native" else COMPRESSED
