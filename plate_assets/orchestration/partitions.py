"""Partitions: one for each acquisition, one for each backbone of the detectors. Nothing else belongs here."""

import dagster as dg

from plate_assets.learning.catalogue import BACKBONES

plate_acquisitions = dg.DynamicPartitionsDefinition(name="plate_acquisitions")
backbones = dg.StaticPartitionsDefinition(list(BACKBONES))
