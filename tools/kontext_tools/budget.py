"""What an edit costs and what may be spent, in exact decimals.

What this is: prices, costs and caps as values, and the pure arithmetic over them. Amounts are `Decimal`;
units are never converted into each other. What it is not: the ledger's rows (`stores`), nor who is asked
(`kontext_server`). Above: jobs, offers, stores, studio. Below: errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from kontext_tools.errors import BudgetExceeded, ConfirmationNeeded

NANO = Decimal(10) ** 9
"""The ledger stores whole billionths of a unit, so that a sum in SQL is exact."""


class Unit(StrEnum):
    """What a provider charges in. One BFL credit is told as 0.01 usd; core.today's credit has no published value."""

    USD = "usd"
    CREDIT = "credit"


class Basis(StrEnum):
    """Where an amount comes from."""

    REPORTED = "reported"
    LIST_PRICE = "list_price"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one image: `amount` in `unit`, or an amount that nobody publishes (`None`)."""

    amount: Decimal | None
    unit: Unit

    def times(self, count: int) -> Price:
        """Give the price of `count` images."""
        return Price(amount=None if self.amount is None else self.amount * count, unit=self.unit)

    def covers(self, other: Price) -> bool:
        """Whether a yes to this price holds for another: no more, in the same unit; an unknown one for itself alone."""
        if self.amount is None or other.amount is None or self.unit is not other.unit:
            return self == other
        return other.amount <= self.amount

    def __str__(self) -> str:
        return f"an unknown amount of {self.unit}" if self.amount is None else f"{plain(self.amount)} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a job cost, as it is told."""

    amount: Decimal | None
    unit: Unit
    basis: Basis

    @classmethod
    def listed(cls, price: Price) -> Cost:
        """Tell a price as the cost that is expected; what is free is certain."""
        basis = Basis.UNKNOWN if price.amount is None else Basis.LIST_PRICE if price.amount else Basis.REPORTED
        return cls(amount=price.amount, unit=price.unit, basis=basis)

    def to_dict(self) -> dict[str, str]:
        """Give the public form: amounts are exact decimals written as strings."""
        amount = {} if self.amount is None else {"amount": plain(self.amount)}
        return {**amount, "unit": self.unit.value, "basis": self.basis.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Cost:
        """Read what `to_dict` gave."""
        amount = data.get("amount")
        return cls(
            amount=None if amount is None else Decimal(amount),
            unit=Unit(data["unit"]),
            basis=Basis(data["basis"]),
        )

    def __str__(self) -> str:
        return f"an unknown amount of {self.unit}" if self.amount is None else f"{plain(self.amount)} {self.unit}"


FREE = Cost(amount=Decimal(0), unit=Unit.USD, basis=Basis.REPORTED)
"""A provider said, or its pages say, that this was not charged."""


def total(costs: Sequence[Cost]) -> Cost | None:
    """Add costs; the weakest basis wins. `None` for no costs; unknown where they are in different units."""
    parts = [part for part in costs if part.amount != 0] or list(costs)[:1]
    if not parts:
        return None
    unit = parts[0].unit
    if any(part.amount is None or part.unit is not unit for part in parts):
        return Cost(amount=None, unit=unit, basis=Basis.UNKNOWN)
    amount = sum((part.amount for part in parts if part.amount is not None), Decimal(0))
    reported = all(part.basis is Basis.REPORTED for part in parts)
    return Cost(amount=amount, unit=unit, basis=Basis.REPORTED if reported else Basis.LIST_PRICE)


def summed(prices: Iterable[Price]) -> tuple[Price, ...]:
    """Give what prices come to, one sum for each unit; unknown where a part of it is."""
    sums: dict[Unit, Price] = {}
    for price in prices:
        so_far = sums.get(price.unit, Price(amount=Decimal(0), unit=price.unit)).amount
        known = None if so_far is None or price.amount is None else so_far + price.amount
        sums[price.unit] = Price(amount=known, unit=price.unit)
    return tuple(sums.values())


def parse_price(text: str) -> Price:
    """Read `0.04 usd` or `120 credit`.

    Raises:
        ValueError: anything else, a negative amount, or more than nine decimals.
    """
    words = text.strip().lower().split()
    if len(words) != 2:
        raise ValueError("write an amount and a unit, such as '0.04 usd' or '120 credit'")
    try:
        amount, unit = Decimal(words[0]), Unit(words[1].removesuffix("s"))
    except (InvalidOperation, ValueError):
        raise ValueError("write an amount and a unit, such as '0.04 usd' or '120 credit'") from None
    exponent = amount.as_tuple().exponent
    if not amount.is_finite() or amount.is_signed() or amount > 10**9:
        raise ValueError("an amount lies between 0 and 1000000000")
    if isinstance(exponent, int) and exponent < -9:
        raise ValueError("an amount has at most nine decimals")
    return Price(amount=amount, unit=unit)


def parse_caps(text: str) -> Mapping[Unit, Decimal]:
    """Read `5 usd, 3000 credit`; an empty text is no cap.

    Raises:
        ValueError: a part that is no price, or a unit named twice.
    """
    caps: dict[Unit, Decimal] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        price = parse_price(part)
        if price.unit in caps:
            raise ValueError(f"{price.unit} is named twice")
        assert price.amount is not None
        caps[price.unit] = price.amount
    return caps


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one owner spent or reserved on one UTC day at one provider, in one unit, over so many jobs."""

    day: str
    provider: str
    unit: Unit
    amount: Decimal
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What the operator allows. An empty mapping is no cap of that kind.

    Attributes:
        daily: per owner and UTC day, by unit.
        per_call: for one call, by unit.
        confirm_above: the price above which a person is asked, by unit.
    """

    daily: Mapping[Unit, Decimal]
    per_call: Mapping[Unit, Decimal]
    confirm_above: Mapping[Unit, Decimal]

    @classmethod
    def none(cls) -> Caps:
        """No cap at all."""
        return cls(daily={}, per_call={}, confirm_above={})

    def check_call(self, price: Price) -> None:
        """Refuse a call that is too dear by itself; no yes lifts this.

        Args:
            price: of the whole call, all its images.

        Raises:
            BudgetExceeded: over the cap per call, in a unit without a cap, or at a price that nobody knows.
        """
        if price.amount == 0:
            return
        for variable, caps in (("KONTEXT_MAX_COST", self.per_call), ("KONTEXT_DAILY_BUDGET", self.daily)):
            if caps:
                _check_countable(price, caps, variable)
        cap = self.per_call.get(price.unit)
        if cap is not None and price.amount is not None and price.amount > cap:
            raise BudgetExceeded(
                f"Nothing was sent: the call would cost {price}, and {plain(cap)} {price.unit} are allowed for one.",
                fix="A person can raise KONTEXT_MAX_COST and restart the server; or ask for fewer images.",
            )

    def asks_above(self, price: Price) -> bool:
        """Whether a person wants to be asked before a call of this price; what no limit counts is asked about too."""
        if not self.confirm_above or price.amount == 0:
            return False
        limit = self.confirm_above.get(price.unit)
        return limit is None or price.amount is None or price.amount > limit

    def check_agreed(self, price: Price, agreed: Price | None) -> None:
        """Refuse a call that a person must be asked about first, unless they said yes to so much.

        Args:
            price: of the whole call, all its images.
            agreed: the price that a person said yes to, `None` where nobody was asked.

        Raises:
            ConfirmationNeeded: above `confirm_above`, and above what was agreed to.
        """
        if self.asks_above(price) and (agreed is None or not agreed.covers(price)):
            raise ConfirmationNeeded(
                f"Nothing was sent: the call would cost {price}, and a person wants to be asked first.",
                fix="Ask the person; they can run it with `kontext edit`, or raise KONTEXT_CONFIRM_ABOVE.",
            )

    def check_day(self, price: Price, spent: Decimal) -> None:
        """Refuse a call that would pass the day's cap.

        Args:
            price: of the whole call.
            spent: what this owner has spent or reserved this UTC day in the price's unit.

        Raises:
            BudgetExceeded: the cap would be passed.
        """
        cap = self.daily.get(price.unit)
        if cap is None or not price.amount or spent + price.amount <= cap:
            return
        raise BudgetExceeded(
            f"Nothing was sent: {plain(spent)} of today's {plain(cap)} {price.unit} are spent or reserved, "
            f"and the call would cost {price}.",
            fix="Wait for the next UTC day, or a person can raise KONTEXT_DAILY_BUDGET and restart the server.",
        )


def _check_countable(price: Price, caps: Mapping[Unit, Decimal], variable: str) -> None:
    if price.amount is None or price.unit not in caps:
        raise BudgetExceeded(
            f"Nothing was sent: a cap is set, and this provider charges {price}, which no cap counts.",
            fix=f"A person can add a cap in {price.unit} to {variable} (such as '5 usd, 3000 credit') "
            "and set the provider's price, then restart the server.",
        )


def plain(amount: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros.

    >>> plain(Decimal("120.00")), plain(Decimal("0.040"))
    ('120', '0.04')
    """
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def day_of(moment: datetime) -> str:
    """Give the UTC day that a moment is counted to, `2026-11-20`."""
    return moment.astimezone(UTC).date().isoformat()


def to_nano(amount: Decimal) -> int:
    """Give whole billionths, rounded half up."""
    return int((amount * NANO).to_integral_value(rounding="ROUND_HALF_UP"))


def from_nano(nano: int) -> Decimal:
    """Read what `to_nano` gave."""
    return Decimal(nano) / NANO
