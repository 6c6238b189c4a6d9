"""Requests and answers of the ASCOM Alpaca API: https://ascom-standards.org/AlpacaDeveloper/ASCOMAlpacaAPIReference.html."""

import math
from collections.abc import Iterable
from itertools import count
from typing import Any

NOT_IMPLEMENTED = 0x400
INVALID_VALUE = 0x401
VALUE_NOT_SET = 0x402
NOT_CONNECTED = 0x407

_LARGEST_ID = 2**32 - 1


class AlpacaError(Exception):
    """An error of a device, which is answered with HTTP status 200.

    Args:
        number: One of the numbers that ASCOM reserves.
        message: What went wrong, for people.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class BadRequest(Exception):
    """A request that the protocol does not allow, which is answered with HTTP status 400."""


class Parameters:
    """Parameters of a request.

    Args:
        items: Names and values.
        any_case: Whether names match in any case, as in the query of a GET; those of a PUT must match exactly.

    Raises:
        BadRequest: ``ClientID`` or ``ClientTransactionID`` is no whole number from 0 to 4294967295.
    """

    def __init__(self, items: Iterable[tuple[str, str]], *, any_case: bool) -> None:
        self._any_case = any_case
        self._values = {self._key(name): value for name, value in items}
        self.client = self._id('ClientID')
        self.transaction = self._id('ClientTransactionID')

    def text(self, name: str) -> str:
        """Return a parameter.

        Raises:
            BadRequest: It is missing.
        """
        value = self._values.get(self._key(name))
        if value is None:
            raise BadRequest(f'the parameter {name} is missing')
        return value

    def boolean(self, name: str) -> bool:
        """Return a parameter that is True or False, in any case.

        Raises:
            BadRequest: It is missing or another.
        """
        value = self.text(name).lower()
        if value not in ('true', 'false'):
            raise BadRequest(f'the parameter {name} is neither True nor False')
        return value == 'true'

    def number(self, name: str) -> float:
        """Return a parameter that is a finite number.

        Raises:
            BadRequest: It is missing or none.
        """
        try:
            value = float(self.text(name))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadRequest(f'the parameter {name} is no number')
        return value

    def _key(self, name: str) -> str:
        return name.lower() if self._any_case else name

    def _id(self, name: str) -> int:
        value = self._values.get(self._key(name), '0')
        if not (value.isascii() and value.isdecimal() and len(value) <= 10 and int(value) <= _LARGEST_ID):
            raise BadRequest(f'the parameter {name} is no whole number from 0 to {_LARGEST_ID}')
        return int(value)


class Answers:
    """Makes answers, each with a number of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def answer(self, transaction: int, value: Any = None, *, error: AlpacaError | None = None) -> dict[str, Any]:
        """Return the body of an answer.

        Args:
            transaction: ``ClientTransactionID`` of the request, 0 if it had none.
            value: The value, ``None`` for a method without one.
            error: The error of the device, if there was one.
        """
        body = dict(
            ClientTransactionID=transaction,
            ServerTransactionID=(next(self._numbers) - 1) % _LARGEST_ID + 1,
            ErrorNumber=0 if error is None else error.number,
            ErrorMessage='' if error is None else str(error),
        )
        return body if value is None else body | dict(Value=value)
