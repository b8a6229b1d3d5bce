"""The failure that an answer reports, where gRPC itself saw a call go well."""

from __future__ import annotations

from typing import Any

import grpc

from eas_grpc.errors import CallError, CallFailure, Origin

__all__ = ["InferenceError", "cut_short", "not_joined", "reported"]


class InferenceError(CallError, grpc.RpcError):
    """A failure told inside an answer, or seen in one. Usable as grpc's errors are, in both colours."""

    def code(self) -> grpc.StatusCode:
        """The status as grpc's enum."""
        return grpc.StatusCode[self.failure.status]

    def details(self) -> str:
        """What the service said."""
        return self.failure.details

    def initial_metadata(self) -> Any:
        """Nothing: it belongs to the call, and this is about a message."""
        return ()

    def trailing_metadata(self) -> Any:
        """Nothing, as above."""
        return ()

    def debug_error_string(self) -> str:
        """Nothing: grpc core knows of no failure."""
        return ""


def reported(text: str, method: str) -> InferenceError:
    """The error for a text that the service sent in place of an answer; the protocol has no status for it."""
    return InferenceError(CallFailure("UNKNOWN", text, Origin.SERVER, method=method))


def not_joined(why: str, method: str) -> InferenceError:
    """The error for answers to the pieces of a request that do not make one."""
    hint = "this model's requests cannot be split: send less, or use on_large='send' or 'upload'"
    return InferenceError(
        CallFailure(
            "FAILED_PRECONDITION", f"the answers cannot be joined: {why}", Origin.CLIENT, hint, method
        )
    )


def cut_short(answers: int, when: str, method: str) -> InferenceError:
    """The error for a stream that went well and yet left requests without an answer."""
    hint = "the service ended it: its log may say why"
    return InferenceError(
        CallFailure(
            "DATA_LOSS", f"the stream ended after {answers} answers {when}", Origin.SERVER, hint, method
        )
    )
