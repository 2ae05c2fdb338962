"""What an hour and a gigabyte cost. The defaults are examples, no provider's offer."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schema.errors import PneumoError

EXAMPLE = "example prices, no provider's offer; give yours with --prices"


class Prices(BaseModel):
    """A price table.

    Attributes:
      currency: name, for the table.
      cpu_hour: of one core.
      gb_month: of a gigabyte (1e9 bytes) stored for a month.
      months: that artifacts are kept.
      gpu_hour: of one accelerator.
      gpu_gmac_per_second: what the trunk does on it, measured by you; none: no accelerator is
        counted, and the trunk runs on cores.
      source: where the numbers come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = "USD"
    cpu_hour: float = Field(default=0.04, ge=0)
    gb_month: float = Field(default=0.02, ge=0)
    months: float = Field(default=1.0, ge=0)
    gpu_hour: float = Field(default=1.0, ge=0)
    gpu_gmac_per_second: float | None = Field(default=None, gt=0)
    source: str = EXAMPLE


def read_prices(path: Path | None) -> Prices:
    """Reads a YAML or JSON file of prices; none: the examples.

    Raises:
      PneumoError: no such file, a wrong key or value.
    """
    import yaml

    if path is None:
        return Prices()
    try:
        values = yaml.safe_load(path.read_text())
        return Prices.model_validate({"source": str(path), **(values or {})})
    except OSError as error:
        raise PneumoError(f"prices {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise PneumoError(f"prices {path} is no table: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        known = ", ".join(Prices.model_fields)
        raise PneumoError(f"prices {path}: {where}: {first['msg']}; keys: {known}") from None
