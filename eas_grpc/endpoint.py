"""An EAS address as people have it, turned into what gRPC dials. Pure text; looks nothing up.

The console shows `http://<service>.<uid>.<region>.pai-eas.aliyuncs.com/`; gRPC wants the bare host and port 80
(the PAI-EAS page on gRPC, "Endpoint format"). grpcio takes a scheme or a path for a broken name and dials 443
where no port is given, so all of that is settled here. What is ambiguous is refused with the text to write
instead. No message repeats user info, a query, or text that looks like a token.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from eas_grpc._hosts import check_host, check_ipv6, is_loopback, is_private
from eas_grpc.errors import ConfigError

__all__ = ["Endpoint"]

# Scheme: whether it means TLS. None: it says nothing, so port 443 stays ambiguous.
_SCHEMES: dict[str, bool | None] = {
    "http": False,
    "https": True,
    "grpc": False,
    "grpcs": True,
    "dns": None,
}
# grpcio's own prefixes; a host of such a name cannot be written without `http://`.
_PREFIXES = ("dns", "ipv4", "ipv6", "unix", "unix-abstract", "xds", "passthrough")

_LONGEST = 2000
# Unicode categories: control, format (zero width), lone surrogate.
_INVISIBLE = ("Cc", "Cf", "Cs")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_FULL_WIDTH = str.maketrans("\uff1a\uff0f", ":/")

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_NAMING = re.compile(r"(dns|ipv4|ipv6):/?(.*)", re.DOTALL | re.IGNORECASE)
# "http:/host", "http//host", "http:host" and "//host", but not a host called http: "http:8080".
_BROKEN_SCHEME = re.compile(r"(?:https?|grpcs?)(?::(?!\d+(?:/|\Z))|//).*|//.*", re.DOTALL | re.IGNORECASE)
_LEADING_SCHEMES = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:/+|(?:https?|grpcs?)(?::(?!\d)|/{2,})|/+)*", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"[<>{}]|(?:^|[./])your[-_ ](?:eas|service|endpoint|host|server|port|domain|uid|region|address|url|gateway)\b"
    r"|\.(?:uid|region)\.[\w.-]*aliyuncs\.com",
    re.IGNORECASE,
)
# What a token looks like where an address was due: a header, a JSON web token, padded base64, or one long
# word without dots. EAS tokens are base64.
_TOKEN = re.compile(
    r"(?i:authorization:|bearer\s|eas\s).*"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?"
    r"|[A-Za-z0-9+/_-]{8,}={1,2}"
    r"|(?=.*\d)(?!.*/api/predict)[A-Za-z0-9+/_]{32,}",
    re.DOTALL,
)
_EXAMPLE = "'<service>.<uid>.<region>.pai-eas.aliyuncs.com:80'"


@dataclass(frozen=True)
class Endpoint:
    """Where a service is reached. Make it with `parse`.

    `host` is lower case, ASCII, without brackets; `port` is 0 for a Unix socket, whose `socket` is its path
    (`\\0name` in Linux' abstract space is written `@name`). `service` and `path` are what followed
    `/api/predict/` in a console URL: gRPC does not send them, HTTP does; without that prefix `path` is all
    that followed the host.
    """

    host: str
    port: int
    tls: bool = False
    socket: str | None = None
    service: str | None = None
    path: str | None = None

    @classmethod
    def parse(cls, text: str | Endpoint) -> Endpoint:
        """Read a console URL, `host`, `host:port`, `https://host`, `dns:///host:port`, `unix:/path`, an IP.

        Without a port: 80, with `https://` 443; plaintext unless `https://` (or `grpcs://`) is written.
        Raises ConfigError, with the text to write instead, for anything else.
        """
        if isinstance(text, Endpoint):
            return text
        if not isinstance(text, str):
            raise ConfigError(f"the endpoint must be a str such as {_EXAMPLE}, not {type(text).__name__}")
        try:
            return _parse(text)
        except _Correctable as wrong:
            raise ConfigError(f"{wrong}: {_advice(wrong)}") from None

    @property
    def target(self) -> str:
        """The text that grpcio dials. It names the resolver, so no host name is taken for a scheme."""
        if self.socket is None:
            return f"dns:///{self.authority}"
        from urllib.parse import quote

        if self.socket.startswith("@"):
            return f"unix-abstract:{quote(self.socket[1:])}"
        return f"unix:{quote(self.socket)}"

    @property
    def authority(self) -> str:
        """`host:port` with brackets around IPv6; `localhost` for a Unix socket, where core would send the path."""
        if self.socket is not None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True where the endpoint is on this machine."""
        return self.socket is not None or is_loopback(self.host)

    @property
    def is_private(self) -> bool:
        """True where the endpoint is on this machine, in a VPC, or in a private or cluster network."""
        return self.socket is not None or is_private(self.host)

    def __str__(self) -> str:
        """The shortest text that means the same to `parse`: `host:80`, `https://host:443`, `unix:/path`."""
        if self.socket is not None:
            return f"unix-abstract:{self.socket[1:]}" if self.socket[0] == "@" else f"unix:{self.socket}"
        if self.tls:
            return f"https://{self.authority}"
        if self.port == 443 or self.host in _PREFIXES:
            return f"http://{self.authority}"
        return self.authority


class _Correctable(ConfigError):
    """What is wrong with the text, and a guess at the right one that is not known to be an address yet."""

    def __init__(self, problem: str, correction: str, otherwise: str) -> None:
        super().__init__(problem)
        self.correction = correction
        self.otherwise = otherwise


def _parse(text: str) -> Endpoint:
    text = text.strip()
    if text.lower().startswith(("unix:", "unix-abstract:")):
        return _unix(text)
    _refuse_what_is_no_address(text)
    return _network(text)


def _refuse_what_is_no_address(text: str) -> None:
    """Everything that must go before any part of the text may be repeated in a message."""
    if not text:
        raise ConfigError(f"the endpoint is empty: write it as {_EXAMPLE}")
    if (bare := text.strip(_QUOTES)) and bare != text:
        _refuse("the endpoint is wrapped in quotation marks", bare, otherwise="remove them")
    if _TOKEN.fullmatch(text):
        raise ConfigError(f"the endpoint looks like a token: pass it as token=, and as endpoint {_EXAMPLE}")
    if len(text) > _LONGEST:
        raise ConfigError(f"the endpoint has {len(text)} characters, which is no address: write {_EXAMPLE}")
    if "@" in text:
        before, _, after = text.rpartition("@")
        clean = "@" not in before and not re.search(r"[/?#]", before.partition("://")[2] or before)
        scheme = before.partition("://")[0] + "://" if "://" in before else ""
        _refuse(
            "the endpoint holds user info (the part before '@'), which gRPC does not send",
            scheme + after if clean else "",
            otherwise="leave it out and pass a token as token=",
        )
    if query := re.search(r"[?#]", text):
        kind = "query" if query[0] == "?" else "fragment"
        _refuse(
            f"the endpoint holds a {kind} (the part from {query[0]!r}), which gRPC does not send",
            text[: query.start()],
            otherwise="leave it out",
        )
    if _PLACEHOLDER.search(text):
        raise ConfigError(
            "the endpoint is still the placeholder of an example: copy the real one from the service's details "
            "page in the PAI-EAS console ('View Call Information'), for example 'http://demo.1234.cn-hangzhou"
            ".pai-eas.aliyuncs.com/'"
        )
    if re.search(r"\s", text):
        # Never the words joined: what follows the space may be the token.
        close = re.sub(r"\s*([:/])\s*", r"\1", text)
        first = text.split(maxsplit=1)[0]
        sure = close if not re.search(r"\s", close) else first if re.search(r"[.:]", first) else ""
        _refuse("the endpoint holds a space or a line break", sure, otherwise="remove it")
    if bad := next((char for char in text if unicodedata.category(char) in _INVISIBLE), None):
        visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
        _refuse(
            f"the endpoint holds an invisible character (U+{ord(bad):04X})",
            visible,
            otherwise="type it by hand",
        )
    if "," in text:
        _refuse("the endpoint is a list, and a channel goes to one address", text.partition(",")[0])


def _network(text: str) -> Endpoint:
    """An endpoint that is not a Unix socket."""
    if url := _URL.fullmatch(text):
        scheme, rest = url[1].lower(), url[2]
        if scheme not in _SCHEMES and scheme not in ("ipv4", "ipv6"):
            _refuse(f"the endpoint begins with {scheme!r}, which is no scheme of gRPC", _one_scheme(text))
        if scheme in ("dns", "ipv4", "ipv6"):
            if not rest.startswith("/"):
                _refuse(
                    f"a name server in '{scheme}://server/host' is not supported",
                    rest.partition("/")[2] or rest,
                )
            return _naming(scheme, rest[1:])
        if _BROKEN_SCHEME.fullmatch(rest) or _URL.fullmatch(rest):
            _refuse("the endpoint has more than one scheme", _one_scheme(text))
        if rest.startswith("/"):
            _refuse(f"the endpoint has too many slashes after '{scheme}:'", _one_scheme(text))
        return _authority(rest, _SCHEMES[scheme])
    if naming := _NAMING.fullmatch(text):
        return _naming(naming[1].lower(), naming[2])
    if _BROKEN_SCHEME.fullmatch(text):
        _refuse("the endpoint's scheme is not followed by '://'", _one_scheme(text))
    return _authority(text, None)


def _one_scheme(text: str) -> str:
    """The text with one good scheme in place of all that it begins with."""
    wrong = _LEADING_SCHEMES.match(text)
    end = wrong.end() if wrong else 0
    tls = re.search(r"(?:https|grpcs|wss|tls|ssl)(?![A-Za-z])", text[:end], re.IGNORECASE)
    return f"{'https' if tls else 'http'}://{text[end:]}"


def _naming(scheme: str, rest: str) -> Endpoint:
    """After one of grpcio's own prefixes."""
    parsed = _authority(rest, None)
    if scheme == "ipv6" and ":" not in parsed.host:
        raise ConfigError("'ipv6:' must be followed by an IPv6 address, as in 'ipv6:[::1]:80'")
    if scheme == "ipv4" and not re.fullmatch(r"\d+\.\d+\.\d+\.\d+", parsed.host):
        raise ConfigError(f"'ipv4:' must be followed by an IPv4 address: write '{parsed}'")
    return parsed


def _authority(text: str, tls: bool | None) -> Endpoint:
    """`host[:port][/path]`; `tls` is what the scheme said."""
    where, slash, rest = text.partition("/")
    host, port_text = _split(where)
    # A word with the wrong port is worth a correction only when the host itself is right.
    host = check_ipv6(host) if ":" in host else check_host(host)
    shown = f"[{host}]" if ":" in host else host
    if port_text is None:
        port = 443 if tls else 80
    elif re.fullmatch(r"[0-9]{1,5}", port_text) and 1 <= int(port_text) <= 65535:
        port = int(port_text)
    elif not port_text:
        raise ConfigError(f"the endpoint ends in ':' without a port: write '{shown}:80'")
    else:
        raise ConfigError(f"the endpoint's port is not a number from 1 to 65535: write '{shown}:80'")
    if tls is None and port == 443:
        raise ConfigError(
            f"'{shown}:443' does not say whether to use TLS: write 'https://{shown}' for TLS "
            f"or 'http://{shown}:443' for plaintext"
        )
    if tls and port == 80:
        raise ConfigError(
            f"'https://{shown}:80' asks for TLS on the plaintext port: write 'https://{shown}' for TLS on 443 "
            f"or '{shown}:80' for plaintext"
        )
    service, path = _route(slash + rest)
    return Endpoint(host, port, tls=bool(tls), service=service, path=path)


def _split(where: str) -> tuple[str, str | None]:
    """Host without brackets, and the text of the port or None."""
    if where.startswith("["):
        host, closed, after = where[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise ConfigError("the endpoint's '[' and ']' must hold an IPv6 address, as in '[::1]:80'")
        if ":" not in host:
            _refuse("only an IPv6 address can stand in square brackets", host + after)
        return host, after[1:] if after else None
    if (narrow := where.translate(_FULL_WIDTH)) != where:
        _refuse("the endpoint holds a full-width colon or slash", narrow)
    if where.count(":") > 1:
        _refuse_bare_ipv6(where)
    host, colon, port = where.partition(":")
    return host, port if colon else None


def _refuse_bare_ipv6(where: str) -> NoReturn:
    head, _, last = where.rpartition(":")
    guesses = []
    for address, port in ((where, "80"), (head, last)):
        try:
            guess = str(_authority(f"[{address}]:{port}", tls=False))
        except ConfigError:
            continue
        guesses.append(guess)
    if guesses:
        raise ConfigError(
            "an IPv6 address in an endpoint needs square brackets: write "
            + " or ".join(f"'{guess}'" for guess in guesses)
        )
    _refuse("the endpoint has more than one ':'", "" if "::" in where else where.partition(":")[0])


def _route(path: str) -> tuple[str | None, str | None]:
    """Service and remaining path of `/api/predict/<service>[/<path>]` (the EAS page on gateway calls)."""
    segments = [segment for segment in path.split("/") if segment]
    service = None
    if segments[:2] == ["api", "predict"]:
        service = segments[2] if len(segments) > 2 else None
        segments = segments[3:]
    return service, "/" + "/".join(segments) if segments else None


def _unix(text: str) -> Endpoint:
    """`unix:path`, `unix:///absolute/path`, `unix-abstract:name`. The path is literal, not percent-encoded."""
    scheme, _, path = text.partition(":")
    if path.startswith("//"):
        if not path.startswith("///") or path.startswith("////"):
            raise ConfigError(
                "'unix://' must be followed by an absolute path: write 'unix:///path/to/socket'"
            )
        path = path[2:]
    if not path or path.endswith("/"):
        raise ConfigError("the endpoint names no socket file: write 'unix:/path/to/socket'")
    if any(unicodedata.category(char) in _INVISIBLE for char in path):
        raise ConfigError("the socket's path holds an invisible character: write 'unix:/path/to/socket'")
    # sun_path of sockaddr_un has 108 bytes on Linux, the last one being the end mark.
    if (size := len(path.encode())) > 107:
        raise ConfigError(f"the socket's path has {size} bytes and 107 is the limit: use a shorter one")
    if scheme.lower() == "unix-abstract":
        return Endpoint("localhost", 0, socket="@" + path)
    if path.startswith("@"):
        raise ConfigError(f"a socket without a file is written 'unix-abstract:{path[1:]}'")
    return Endpoint("localhost", 0, socket=path)


def _refuse(problem: str, correction: str, *, otherwise: str = f"write it as {_EXAMPLE}") -> NoReturn:
    raise _Correctable(problem, correction, otherwise)


def _advice(wrong: _Correctable) -> str:
    """What to write instead: the corrected text where it is an address, else `otherwise`."""
    correction = wrong.correction
    # More than one thing may be wrong; the bound is for text whose correction never ends.
    for _ in range(5):
        try:
            return f"write '{_parse(correction)}'"
        except _Correctable as again:
            correction = again.correction
        except ConfigError:
            break
    return wrong.otherwise
