"""Python modules that any protobuf from 3.20.3 to 7 and any grpcio from 1.62 can import.

Text from descriptors: no compiler, no file, no import of what is written.
"""

from __future__ import annotations

from eas_grpc.codegen.portable._editions import EDITION_FLOORS
from eas_grpc.codegen.portable._messages import POOL, message_module, pool_module
from eas_grpc.codegen.portable._services import service_module

__all__ = ["EDITION_FLOORS", "POOL", "message_module", "pool_module", "service_module"]
