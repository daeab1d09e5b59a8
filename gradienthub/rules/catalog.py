"""What is for rent: instance types and runtimes. Faults name the key and the cure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from .duration import parse_duration, short_duration
from .money import parse_amount, plain_amount

#: Names people type in options, configuration and URLs.
Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9._-]{0,46}[a-z0-9])?$")]
Title = Annotated[str, Field(min_length=1, max_length=80)]
#: Micro-units; written in currency units ("0.51").
Amount = Annotated[
    int,
    BeforeValidator(parse_amount),
    PlainSerializer(plain_amount),
]
#: A timedelta; written "30m", "6h", "3d" or in seconds.
Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(short_duration)]


class Row(BaseModel):
    """A row of configuration: immutable, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class ConfigurationFault(ValueError):
    """A setting that cannot be: where it stands, its value, and what to write instead."""


class InstanceType(Row):
    """A machine shape for rent. `price` is micro-units an hour; memory is GB (10^9 bytes)."""

    name: Slug
    title: Title
    description: str = Field(default="", max_length=400)
    gpu_model: Title | None = None
    gpus: int = Field(default=0, ge=0, le=64)
    gpu_memory: float = Field(default=0, ge=0, le=4096)
    cpus: float = Field(gt=0, le=4096)
    memory: float = Field(gt=0, le=65536)
    price: Amount
    needs_approval: bool = False

    @model_validator(mode="after")
    def _gpus_have_a_model(self) -> Self:
        if bool(self.gpus) != bool(self.gpu_model):
            raise ValueError("gpus and gpu_model belong together: set both, or neither")
        return self

    @property
    def free(self) -> bool:
        """Whether it costs nothing, so that no payment method is needed."""
        return self.price == 0

    @property
    def kind(self) -> str:
        """Its group on the form: free, cpu, gpu or multi-gpu."""
        if self.free:
            return "free"
        if self.gpus == 0:
            return "cpu"
        return "gpu" if self.gpus == 1 else "multi-gpu"


class Runtime(Row):
    """A container image with a name. `image` None runs on engines without images (local).

    `counts_requests`: each request to its server is use, for applications that have no kernel.
    """

    name: Slug
    title: Title
    description: str = Field(default="", max_length=400)
    image: str | None = Field(default=None, max_length=255)
    needs_gpu: bool = False
    warm: bool = False
    counts_requests: bool = False

    @model_validator(mode="after")
    def _image_is_a_reference(self) -> Self:
        if self.image is not None and not is_image_reference(self.image):
            raise ValueError(f"image {self.image!r} is not an image reference like name:tag")
        return self


class Catalog(Row):
    """Everything for rent at one hub, in the order the form shows it."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    instance_types: tuple[InstanceType, ...]
    runtimes: tuple[Runtime, ...]

    def instance_type(self, name: str) -> InstanceType | None:
        """Return the type of that name, or None."""
        return next((t for t in self.instance_types if t.name == name), None)

    def runtime(self, name: str) -> Runtime | None:
        """Return the runtime of that name, or None."""
        return next((r for r in self.runtimes if r.name == name), None)


# Host with optional port, path components, optional tag, optional digest: the grammar of the
# distribution project's reference package, ASCII only, so that nothing like an option or a shell
# character can be an image.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[a-f0-9]{64})?",
    re.ASCII,
)
LONGEST_IMAGE = 255


def is_image_reference(image: str) -> bool:
    """Return whether `image` is a well-formed image name with optional tag and digest."""
    return len(image) <= LONGEST_IMAGE and _REFERENCE.fullmatch(image) is not None


R = TypeVar("R", bound=BaseModel)


def rows_from(model: type[R], rows: Mapping[str, object], where: str) -> tuple[R, ...]:
    """Validate the rows of a table {name: {key: value}}. A value of None removes the row.

    Raises ConfigurationFault naming table, row, key, value and cure.
    """
    return tuple(
        _named_row(model, name, row, f"{where}[{name!r}]")
        for name, row in rows.items()
        if row is not None
    )


def row_from(model: type[R], values: Mapping[str, object], where: str) -> R:
    """Validate one row. Raises ConfigurationFault naming place, key, value and cure."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigurationFault(
            "; ".join(
                _fault(where, model, e["loc"], e["type"], e["msg"], e.get("input"))
                for e in error.errors()
            )
        ) from None


def _named_row(model: type[R], name: object, row: object, where: str) -> R:
    if not isinstance(row, Mapping):
        raise ConfigurationFault(
            f"{where} is {row!r}; write a dict of its keys, or None to remove the row"
        )
    # Two rows of one name would hide each other.
    if row.get("name", name) != name:
        raise ConfigurationFault(
            f"{where}.name = {row['name']!r}: a row is named by its key; leave name out"
        )
    return row_from(model, {"name": name, **row}, where)


def _fault(
    where: str,
    model: type[BaseModel],
    loc: Sequence[int | str],
    kind: str,
    message: str,
    value: object,
) -> str:
    key = ".".join(str(part) for part in loc)
    place = f"{where}.{key}" if key else where
    if kind == "extra_forbidden":
        keys = _model_at(model, loc[:-1]).model_fields
        return f"{place} is not a setting; known keys are {', '.join(keys)}"
    if kind == "missing":
        return f"{place} is missing; add it"
    return f"{place} = {value!r}: {message.removeprefix('Value error, ')}"


def _model_at(model: type[BaseModel], loc: Iterable[int | str]) -> type[BaseModel]:
    """Return the model of the row at this place inside a `model`, for example of a host's
    device."""
    for part in loc:
        field = model.model_fields.get(str(part))
        inner = get_args(field.annotation) if field else ()
        model = next((a for a in inner if isinstance(a, type) and issubclass(a, Row)), model)
    return model
