"""One order of cells: by the number that decides."""

from plate_assets.dry_mass.ranking import ranked
from plate_assets.dry_mass.tables import CELL_ANOMALIES
from tests.made_tables import rows_of


def order(**columns) -> list[int]:
    n = len(columns["path_id"])
    return ranked(rows_of(CELL_ANOMALIES, n, **columns))["path_id"].to_list()


def test_a_cell_flagged_by_a_sign_is_ranked_by_it_and_not_by_its_score():
    found = order(
        path_id=[1, 2, 3, 4], score=[0.65, 0.0, 0.9, None], margin=[0.9, 1.5, 3.0, None], abnormal=[False, True, True, None]
    )
    assert found == [3, 2, 1, 4], "those without a score come last"


def test_of_equal_margins_the_path_with_more_abnormal_windows_comes_first_then_the_lower_one():
    found = order(path_id=[7, 5, 6], margin=[2.0, 2.0, 2.0 + 1e-9], abnormal=[True] * 3, n_abnormal=[4, 4, 9])
    assert found == [6, 5, 7]
