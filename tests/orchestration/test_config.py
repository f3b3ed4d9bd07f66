"""A run's configuration is what the science declares: the same names, defaults and meanings, there and back."""

import dagster as dg
import pytest

from plate_assets.dry_mass.model import ForecasterConfig
from plate_assets.orchestration.config import configured, configures
from plate_assets.precipitation.model import DetectorConfig, EmbeddingConfig
from plate_assets.workflows.drift.stability import StabilityConfig


@pytest.mark.parametrize("configuration", [DetectorConfig, EmbeddingConfig, ForecasterConfig])
def test_a_run_that_says_nothing_trains_as_the_science_declares_it(configuration):
    @configures(configuration)
    class Run(dg.Config):
        """A run."""

    assert configured(configuration, Run()) == configuration()
    assert all(field.description for field in Run.model_fields.values()), "every parameter says what it means"


def test_what_a_run_is_given_reaches_the_science_and_what_it_knows_is_not_asked():
    @configures(ForecasterConfig, without=("seed",))
    class Run(dg.Config):
        """A run."""

        timelapses: list[str] = []

    seen = []

    @dg.asset
    def trained(config: Run) -> None:
        seen.append((config.timelapses, configured(ForecasterConfig, config, seed=7)))

    given = {"timelapses": ["A"], "features": ["dry_mass", "area"], "cell_threshold": 0.4, "padding": "same"}
    assert dg.materialize([trained], run_config={"ops": {"trained": {"config": given}}}).success
    assert seen == [(["A"], ForecasterConfig(features=("dry_mass", "area"), cell_threshold=0.4, padding="same", seed=7))]
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.materialize([trained], run_config={"ops": {"trained": {"config": {"seed": 1}}}})


def test_lists_that_stand_for_everything_stay_open():
    @configures(StabilityConfig, without=("offline", "online"))
    class Run(dg.Config):
        """A run."""

    assert configured(StabilityConfig, Run(), offline=None, online=None) == StabilityConfig()
    assert configured(StabilityConfig, Run(levels=[0, 2]), offline=None, online=None).levels == (0, 2)
