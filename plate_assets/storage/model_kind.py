"""A kind of model as its science declares it: how it is called, what it takes and gives, and how a person gets one.

Belongs here: the form of a declaration, as data, for every floor. Not here: any declaration (each science's `model`), the
versions of a model (`registry`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """One tensor as MLflow's signature shows it; -1 stands for any length."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelKind:
    """One kind of model. What else is named after it follows from its science: setting, job, experiment, champion.

    science: whose it is; name: of the registered model; noun: what people call one; about: what the registry says of all of
    them; loader: `module:Class` of the science, with `from_parts(architecture, weights)` and `predict(model_input)`; takes,
    gives: the signature of `predict`; reviewed: tags of a version that a reviewer sees in the list of versions.
    """

    science: str
    name: str
    noun: str
    about: str
    loader: str
    takes: Tensor
    gives: Tensor
    reviewed: tuple[str, ...] = ()

    @property
    def experiment(self) -> str:
        """MLflow's experiment of its trainings."""
        return self.science

    @property
    def setting(self) -> str:
        """The setting that names the model in force."""
        return f"{self.science}_model"

    @property
    def job(self) -> str:
        """The job that trains one."""
        return f"train_{self.science}"

    @property
    def champion_asset(self) -> str:
        """The asset that stands for the version in force."""
        return f"{self.science}_champion"

    @property
    def champion(self) -> str:
        """The version in force, as the registry names it."""
        return f"models:/{self.name}@champion"

    @property
    def made_by(self) -> str:
        """How a person gets a version."""
        return f"train a {self.noun} (job `{self.job}`)"

    @property
    def promoted_by(self) -> str:
        """How a person puts one in force."""
        return f"plate-assets promote --kind {self.science}"
