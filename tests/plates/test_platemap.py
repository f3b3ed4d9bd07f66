"""Plate maps as labs write them."""

import polars as pl
import pytest
import tifffile
from upath import UPath

from plate_assets.plates.platemap import PlateMapError, find_platemap, platemap_of, read_platemap
from plate_assets.plates.readers import ReadOptions, open_acquisition


def read(tmp_path, text, name="map.csv", encoding="utf-8"):
    (tmp_path / name).write_bytes(text.encode(encoding))
    return read_platemap(UPath(tmp_path / name))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separator_and_encoding_are_found(tmp_path, separator, encoding):
    text = "\r\n".join(separator.join(line) for line in (["well", "condition"], ["a1", "Lösung 1"], ["P24", "x"]))
    table = read(tmp_path, text, encoding=encoding)
    assert table.select("Metadata_Well", "condition", "role").rows() == [("A01", "Lösung 1", "sample"), ("P24", "x", "sample")]


@pytest.mark.parametrize("header", ["well_position", "well", "Metadata_Well", "Well", "WELL POSITION"])
def test_every_name_of_the_well_column_is_understood(tmp_path, header):
    assert read(tmp_path, f"{header},x\nb2,1\n")["Metadata_Well"].to_list() == ["B02"]


@pytest.mark.parametrize(("row", "col"), [("C", "3"), ("c", "03"), ("3", "3"), ("C", '"""03"""'), ("AF", "48"), ("3.0", "3.0")])
def test_row_and_column_are_letters_or_numbers_quoted_or_not(tmp_path, row, col):
    expected = "AF48" if row == "AF" else "C03"
    assert read(tmp_path, f"row,col\n{row},{col}\n")["Metadata_Well"].to_list() == [expected]


def test_barcodes_and_the_labs_own_columns_stay_text(tmp_path):
    table = read(tmp_path, "well,barcode,batch\nA1,00123,1e5\n")
    assert table.select("barcode", "batch").row(0) == ("00123", "1e5")


def test_a_condition_is_a_compound_with_its_concentration_and_unit(tmp_path):
    table = read(tmp_path, "well,compound,concentration,unit\nA1,NaCl,0.5,mM\nA2,DMSO,,\nA3,,,\n")
    assert table["condition"].to_list() == ["NaCl 0.5 mM", "DMSO", None]
    jump = read(tmp_path, "well_position\tbroad_sample\tmmoles_per_liter\nA01\tBRD-1\t5.0\n", "m.txt")
    assert jump["condition"].to_list() == ["BRD-1 5.0 mM"]


def test_roles_are_read_from_control_types_and_an_unknown_one_names_its_line(tmp_path):
    table = read(tmp_path, "well,control_type\nA1,negcon\nA2,poscon_diverse\nA3,trt\nA4,\nA5,empty\n")
    assert table["role"].to_list() == ["negative_control", "positive_control", "sample", "sample", "empty"]
    with pytest.raises(PlateMapError, match="map.csv, line 3: 'odd'.*negcon"):
        read(tmp_path, "well,role\nA1,sample\nA2,odd\n")


def test_a_group_goes_before_the_quadruplet(tmp_path):
    table = read(tmp_path, "well,group\nA1,G1\nB2,G1\nC3,\n")
    assert table["Metadata_Quadruplet"].to_list() == ["G1", "G1", "C03"]


def test_xlsx_is_read_like_csv(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    for row in (["well_position", "condition", "barcode"], ["A01", "x", "00123"], ["AF48", "y", "7"]):
        book.active.append(row)
    book.save(tmp_path / "map.xlsx")
    table = read_platemap(UPath(tmp_path / "map.xlsx"))
    assert table.select("Metadata_Well", "condition", "barcode").rows() == [("A01", "x", "00123"), ("AF48", "y", "7")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "none that tells the well"),
        ("well\nA1\nZ9Z\n", "line 3: 'Z9Z' is no well"),
        ("well\nA1\nB1\nA01\n", "well A01 is there twice, on lines 2 and 4"),
        ("well,x\nA1,1,2,3\n", "no table separated by ','"),
    ],
)
def test_a_map_that_cannot_be_used_names_file_line_and_remedy(tmp_path, text, message):
    with pytest.raises(PlateMapError, match=message) as error:
        read(tmp_path, text)
    assert "map.csv" in str(error.value)


def test_a_map_is_found_by_the_plates_name_or_by_its_barcode(tmp_path):
    folder = UPath(tmp_path)
    assert find_platemap([folder, folder / "none"], "P001") is None
    (tmp_path / "platemap").mkdir()
    (tmp_path / "barcode_platemap.csv").write_text("Assay_Plate_Barcode,Plate_Map_Name\n0007,JUMP-1\n0008,gone\n9,../../x\n")
    (tmp_path / "platemap" / "JUMP-1.txt").write_text("well_position\tbroad_sample\nA01\tB\n")
    assert find_platemap([folder], "0007").name == "JUMP-1.txt"
    assert find_platemap([folder], "7") is None
    for plate in ("0008", "9"):
        with pytest.raises(PlateMapError, match="holds no such file"):
            find_platemap([folder], plate)
    (tmp_path / "p001.csv").write_text("well\nA1\n")
    assert find_platemap([folder], "P001").name == "p001.csv"


def acquisition(tmp_path, *wells):
    (tmp_path / "P_t0").mkdir()
    for well in wells:
        tifffile.imwrite(tmp_path / "P_t0" / f"{well}.tif", pl.Series([0] * 64, dtype=pl.UInt8).to_numpy().reshape(8, 8))
    return open_acquisition(tmp_path / "P_t0", ReadOptions(plate_format=96))


def test_without_a_map_every_quadruplet_is_a_condition_and_partial_ones_work(tmp_path):
    table = platemap_of(acquisition(tmp_path, "A01", "B02", "C05"), None)
    assert table.select("Metadata_Well", "condition", "role").rows() == [
        ("A01", "A01", "sample"),
        ("B02", "A01", "sample"),
        ("C05", "C05", "sample"),
    ]


def test_a_well_that_the_map_lacks_is_empty_and_a_map_of_another_plate_is_refused(tmp_path):
    plate = acquisition(tmp_path, "A01", "A02")
    table = platemap_of(plate, read(tmp_path, "well,condition\nA1,x\n"))
    assert table.select("Metadata_Well", "condition", "role").rows() == [("A01", "x", "sample"), ("A02", None, "empty")]
    with pytest.raises(PlateMapError, match="P24, which is on no 96-well plate"):
        platemap_of(plate, read(tmp_path, "well\nP24\n"))


def test_the_real_layouts_are_read(real_data):
    fixtures = real_data / "operetta-harmony-384" / "tests" / "fixtures"
    semicolons = read_platemap(UPath(fixtures / "drug_layout.csv"))
    assert semicolons.select("Metadata_Well", "condition").rows() == [("C03", "DMSO 0.125 %")]
    bom = read_platemap(UPath(fixtures / "drug_layout_utf8-dom.csv"))
    assert bom.select("Metadata_Well", "condition", "my_metadata").rows() == [("B03", "my_drug 0.1 um", "example")]
