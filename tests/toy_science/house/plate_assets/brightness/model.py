"""The kind of model of brightness, as data."""

from plate_assets.storage.model_kind import ModelKind, Tensor

LIMIT = ModelKind(
    science="brightness",
    name="brightness-limit",
    noun="limit",
    about="Limits of brightness; wells above that of `champion` are bright.",
    loader="plate_assets.brightness.limit:Limit",
    takes=Tensor("brightness", "float64", (-1,)),
    gives=Tensor(None, "bool", (-1,)),
    reviewed=("wells",),
)
