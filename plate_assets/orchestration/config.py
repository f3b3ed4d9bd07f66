"""What a run is configured by, derived from the configuration that a science declares: no parameter is listed twice.

Belongs here: Dagster's form of a dataclass, and the way back. Not here: any configuration (each science's `model`).
"""

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import dagster as dg
from pydantic import Field, create_model

from plate_assets.learning.parameters import parameters_of

RunConfig = TypeVar("RunConfig", bound=dg.Config)
Configuration = TypeVar("Configuration")


def configures(configuration: type, without: tuple[str, ...] = ()) -> Callable[[type[RunConfig]], type[RunConfig]]:
    """Add the parameters of a configuration to a run's own, with their defaults and meanings.

    without: those that the run knows from elsewhere.
    """
    fields: dict[str, Any] = {
        parameter.name: (_in_dagster(parameter.type), Field(default=_listed(parameter.default), description=parameter.meaning))
        for parameter in parameters_of(configuration, without)
    }

    def added(own: type[RunConfig]) -> type[RunConfig]:
        return create_model(own.__name__, __base__=own, __doc__=own.__doc__, __module__=own.__module__, **fields)

    return added


def configured(configuration: type[Configuration], config: dg.Config, **known: Any) -> Configuration:
    """The configuration that a run was given. known: parameters that the run knows from elsewhere."""
    given = {parameter.name: getattr(config, parameter.name) for parameter in parameters_of(configuration, tuple(known))}
    return configuration(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}, **known)


def _listed(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _in_dagster(kind: Any) -> Any:
    """The type as Dagster's configuration knows it: lists, of plain types, for tuples."""
    if get_origin(kind) is tuple:
        of = get_args(kind)[0]
        return list[type(get_args(of)[0]) if get_origin(of) is Literal else of]
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (part for part in get_args(kind) if part is not NoneType)
        return _in_dagster(inner) | None
    return kind
