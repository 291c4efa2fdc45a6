"""The networks that mr-stenosis names are what its stages take."""

from __future__ import annotations

import msgspec
import pytest

from cspine.errors import ModelError
from cspine.pipeline_file import load_spec, shipped_spec
from cspine.spec import Cord, PipelineSpec
from cspine_export.architecture import build_network
from cspine_export.graph.interface import Interface
from cspine_export.stage_network import networks_of

SPEC: PipelineSpec = load_spec(shipped_spec("mr-stenosis"))


@pytest.mark.parametrize("stage", SPEC.trainings, ids=lambda stage: str(stage.id))
def test_each_network_fits_its_stage(stage: Cord) -> None:
    found = networks_of(build_network(stage.architecture), stage, SPEC)
    assert list(found) == [stage.id]


def test_the_cord_needs_a_map_for_each_of_its_four_points() -> None:
    stage: Cord = SPEC.only(Cord)
    assert Interface.of(stage).meaning == "positions"
    arguments = {**stage.architecture.arguments, "out_channels": 3}
    architecture = msgspec.structs.replace(stage.architecture, arguments=arguments)
    with pytest.raises(ModelError, match="for its 4 points"):
        networks_of(build_network(architecture), stage, SPEC)
