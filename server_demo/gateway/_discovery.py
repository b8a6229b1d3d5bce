"""Where the instances of a service are, as clients that connect to them directly ask for it. Pure.

The answer is that of EAS's service discovery ("Call a service over the VPC direct connection channel").
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from eas_grpc.errors import ConfigError

__all__ = ["Instance", "answer", "instances_from"]

_HEAVIEST = 1_000_000


@dataclass(frozen=True)
class Instance:
    """A running copy of a service. Of all calls it gets the share that its weight has of all weights.

    Raises ConfigError for what is no address (a name is none), no port or no weight.
    """

    ip: str
    port: int
    weight: int = 100

    def __post_init__(self) -> None:
        """Checks every value."""
        if not _is_address(self.ip):
            raise ConfigError(f"ip={self.ip!r} is no address: write one like 127.0.0.1")
        for name, least, most in (("port", 1, 65_535), ("weight", 0, _HEAVIEST)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise ConfigError(f"{name}={value!r} must be a whole number from {least} to {most}")


def answer(service: str, instances: Iterable[Instance]) -> bytes:
    """The JSON for who asks where a service is.

    `items` is always a list: the vendor's Go client does not survive anything else.
    """
    items = [{"app": service, **asdict(instance)} for instance in instances]
    return json.dumps(
        {"correlative": [service], "endpoints": {"items": items}}, separators=(",", ":")
    ).encode()


def instances_from(value: object) -> tuple[Instance, ...]:
    """The instances in a JSON value: a list of objects with `ip`, `port` and, if it is not 100, `weight`.

    Raises ConfigError for anything else, and for an instance that is there twice.
    """
    if not isinstance(value, list):
        raise ConfigError('instances must be a list like [{"ip": "127.0.0.1", "port": 9000, "weight": 100}]')
    found = tuple(_instance(item) for item in value)
    seen = set()
    for instance in found:
        if (instance.ip, instance.port) in seen:
            raise ConfigError(
                f"the instance {instance.ip} port {instance.port} is there twice: write it once"
            )
        seen.add((instance.ip, instance.port))
    return found


def _instance(item: object) -> Instance:
    if not isinstance(item, dict) or not {"ip", "port"} <= item.keys() <= {"ip", "port", "weight"}:
        raise ConfigError('an instance must be like {"ip": "127.0.0.1", "port": 9000, "weight": 100}')
    return Instance(**item)


def _is_address(value: object) -> bool:
    try:
        # An int would be taken for an address as well.
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False
