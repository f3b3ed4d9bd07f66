"""Files of a simulated plate: images and metadata in a vendor's layout, the plate map, the truth.

Belongs here: names, elements and columns. Not here: what they say.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import tifffile

from plate_assets.plates.layout import Well
from plate_assets.plates.simulate.settings import UM_PER_PX, WELL_PX

_NAMESPACE = "http://www.perkinelmer.com/PEHH/HarmonyV5"
START = "2026-01-05T18:00:00"  # when every simulated culture began
CHANNEL = "Brightfield"


def image_name(layout: str, well: Well) -> str:
    """Path of a well's image inside the acquisition's folder."""
    if layout == "operetta":
        return f"Images/r{well.row:02d}c{well.col:02d}f01p01-ch1sk1fk1fl1.tiff"
    return f"{well.name}_s1.tif"


def write_image(path: Path, image: np.ndarray) -> None:
    """A TIFF with its pixel size, and nothing in it that changes from day to day."""
    per_cm = 1e4 / UM_PER_PX
    tifffile.imwrite(
        path, image, photometric="minisblack", metadata=None, software=False,
        resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", compression="lzw" if image.dtype == np.uint16 else None,
    )  # fmt: skip


def write_index(path: Path, plate: str, timepoint: str, hours: float, wells: list[Well], dtype: str) -> None:
    """Harmony's `Index.idx.xml`: the plate, its wells, and every image with its place and pixel size."""
    start = np.datetime64(START) + np.timedelta64(int(round(hours * 3600)), "s")
    root = ElementTree.Element("EvaluationInputData", {"Version": "1", "xmlns": _NAMESPACE})
    _texts(root, {"User": "simulation", "InstrumentType": "Simulated"})
    element = ElementTree.SubElement(ElementTree.SubElement(root, "Plates"), "Plate")
    _texts(element, {
        "PlateID": plate, "MeasurementID": f"{plate}-{timepoint}", "MeasurementStartTime": f"{start}+00:00", "Name": plate,
        "PlateTypeName": "384 simulated", "PlateRows": 16, "PlateColumns": 24,
    })  # fmt: skip
    for well in wells:
        ElementTree.SubElement(element, "Well", {"id": f"{well.row:02d}{well.col:02d}"})
    listed = ElementTree.SubElement(root, "Wells")
    images = ElementTree.SubElement(root, "Images")
    for well in wells:
        name = f"{well.row:02d}{well.col:02d}"
        place = ElementTree.SubElement(listed, "Well")
        _texts(place, {"id": name, "Row": well.row, "Col": well.col})
        ElementTree.SubElement(place, "Image", {"id": f"{name}K1F1P1R1"})
        image = ElementTree.SubElement(images, "Image", {"Version": "1"})
        _texts(image, {
            "id": f"{name}K1F1P1R1", "State": "Ok", "URL": image_name("operetta", well).split("/")[1],
            "Row": well.row, "Col": well.col,
            "FieldID": 1, "PlaneID": 1, "TimepointID": 0, "ChannelID": 1, "FlimID": 1, "ChannelName": CHANNEL,
            "ImageType": "Signal",
            "AcquisitionType": "NonConfocal", "IlluminationType": "Transmission", "ChannelType": "Brightfield",
        })  # fmt: skip
        for axis in "XY":
            resolution = ElementTree.SubElement(image, f"ImageResolution{axis}", {"Unit": "m"})
            resolution.text = f"{UM_PER_PX * 1e-6:.6E}"
        _texts(image, {
            "ImageSizeX": WELL_PX, "ImageSizeY": WELL_PX, "BinningX": 1, "BinningY": 1, "MaxIntensity": np.iinfo(dtype).max,
            "MeasurementTimeOffset": 0, "AbsTime": f"{start}+00:00", "ObjectiveMagnification": 4, "ObjectiveNA": 0.16,
        })  # fmt: skip
    ElementTree.indent(root)
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _texts(parent: ElementTree.Element, texts: dict) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = str(text)
