"""Partitions: acquisitions of plates, phase time-lapses, backbones of the detectors, experiments. Nothing else belongs here."""

import dagster as dg

from plate_assets.dry_mass.tables import EXPERIMENTS
from plate_assets.learning.catalogue import BACKBONES

plate_acquisitions = dg.DynamicPartitionsDefinition(name="plate_acquisitions")
backbones = dg.StaticPartitionsDefinition(list(BACKBONES))
timelapses = dg.DynamicPartitionsDefinition(name="timelapses")
experiments = dg.StaticPartitionsDefinition(list(EXPERIMENTS))
