"""How services are asked: with a time limit, and with one line that says what went wrong."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import TimeoutError as SlowAnswer

from engine.errors import ExchangeError

CONNECT, READ = 6.0, 20.0  # seconds to reach a service, and between two parts of its answer
UNREACHABLE = "cannot be reached: check the network, or try again later"


class _Limited(HTTPAdapter):
    """Requests that end: pyvo asks without a limit."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT, READ)
        return super().send(*arguments, **options)


def session() -> requests.Session:
    """A session whose requests end, and that says who asks."""
    made = requests.Session()
    made.headers["User-Agent"] = f"DeepLense-GUI/{version('deeplense-gui')}"
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Limited())
    return made


def trouble(name: str, error: BaseException) -> ExchangeError:
    """What an error of a request means, in one line."""
    if isinstance(error, requests.Timeout | SlowAnswer):
        return ExchangeError(f"{name} did not answer in time: try again later")
    if isinstance(error, requests.ConnectionError):
        return ExchangeError(f"{name} {UNREACHABLE}")
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return ExchangeError(f"{name} answered with an error ({error.response.status_code}): try again later")
    text = " ".join(str(error).split())
    return ExchangeError(f"{name} answered with what is not understood ({text[:100]}): try again later")


def get(name: str, address: str, *, most: int) -> tuple[bytes, str]:
    """The bytes of an address and the type the server says they have.

    Raises
    ------
    ExchangeError : it cannot be reached, answers with an error, or with more than ``most`` bytes
    """
    try:
        with session() as asked, asked.get(address, stream=True) as response:
            response.raise_for_status()
            data = bytearray()
            for part in response.iter_content(1 << 16):
                data += part
                if len(data) > most:
                    raise ExchangeError(f"{name} sends more than {most / 1e6:g} MB: it was left")
            return bytes(data), response.headers.get("Content-Type", "")
    except requests.RequestException as error:
        raise trouble(name, error) from error
