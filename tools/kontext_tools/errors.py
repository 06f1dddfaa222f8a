"""Every failure that we foresee, as one drawn tree.

What this is: the only vocabulary of failure. Each class is one code of the public contract; what a caller
is told (message, fix, retryable, billed) travels in its `Failure`, a plain value that a job's row can keep.
What it is not: wording for one surface (`kontext_server.surface.failures`) or the reading of a provider's
answer (`providers.wire`). Above: everything. Below: questions.

    KontextError
    ├── Refusal                      the caller can mend it: following `fix` makes the next call pass
    │   ├── InvalidArgument          a value or a name that no provider takes
    │   ├── UnknownRef               no image has that reference
    │   ├── NotFound                 no job has that id
    │   ├── SourceUnreadable         the file or address gives no picture
    │   ├── SourceTooLarge           over 50 MB or 50 megapixels
    │   ├── SourceNotAllowed         a place or scheme that may not be read
    │   ├── UnsupportedByProvider    set, valid, and not honoured by the provider
    │   ├── PlanInvalid              steps that cannot be ordered
    │   ├── IdempotencyConflict      the same request_key with other arguments
    │   └── RateLimited              the provider, or this server, asks to wait
    └── Trouble                      a person must act, or it goes by itself
        ├── NotConfigured            no key for that provider
        ├── AuthFailed               the provider refused the key
        ├── OutOfCredit              the provider account is empty
        ├── BudgetExceeded           a cap of the operator's would be passed
        ├── ConfirmationNeeded       above the amount that a person wants to be asked about
        ├── Moderated                the provider refused the content
        ├── ProviderError            the provider failed at the work
        ├── ProviderUnavailable      the provider was not reached; nothing was taken
        ├── OutcomeUnknown           sent, no answer: it may have been charged
        ├── ResultInvalid            what came is no picture, or the file was changed
        ├── ResultExpired            the provider's link died before it was fetched
        ├── StorageFull              no space; the job is finished when there is
        ├── StorageBusy              the database is held by another process, or the pictures' storage is silent
        ├── StorageDamaged           the database is not sound; nothing was overwritten
        └── Cancelled                ended by cancel_job
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar

from kontext_tools.questions import Question


class Billed(StrEnum):
    """Whether money was taken, as far as we can know it."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failure as it is told and stored.

    Attributes:
        code: a code of the contract, section 2, Errors.
        message: what happened, one sentence, no vendor text unquoted.
        fix: the next thing to do; literal arguments where the caller can mend it.
        field: the argument at fault, if one is.
        retryable: whether the same call may pass later without a change.
        retry_after_s: seconds to wait before that, where they are known.
        billed: whether money was taken.
        job_id: the job this belongs to, where one was recorded.
    """

    code: str
    message: str
    fix: str
    field: str | None = None
    retryable: bool = False
    retry_after_s: float | None = None
    billed: Billed = Billed.NO
    job_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the stored and the public form: no `None`s, `billed` as its word."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Failure:
        """Read what `to_dict` gave."""
        fields: dict[str, Any] = data | {"billed": Billed(data["billed"])}
        return cls(**fields)


class KontextError(Exception):
    """A foreseen failure. Raise a leaf; catch this at a border."""

    code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False
    billed: ClassVar[Billed] = Billed.NO

    def __init__(
        self,
        message: str,
        *,
        fix: str,
        field: str | None = None,
        retry_after_s: float | None = None,
        billed: Billed | None = None,
        job_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(
            code=self.code,
            message=message,
            fix=fix,
            field=field,
            retryable=self.retryable,
            retry_after_s=retry_after_s,
            billed=self.billed if billed is None else billed,
            job_id=job_id,
        )

    def within(self, place: str) -> KontextError:
        """Name the place of the call that this failure is about, such as `steps[1]`; the same error comes back."""
        told = self.failure
        field = place if told.field is None else f"{place}.{told.field}"
        self.failure = replace(told, message=f"In {place}: {told.message}", fix=f"In {place}: {told.fix}", field=field)
        return self


class Refusal(KontextError):
    """The caller can mend it; nothing was sent."""


class InvalidArgument(Refusal):
    """A value or a name that no provider takes."""

    code = "invalid_argument"


class UnknownRef(Refusal):
    """No image has that reference."""

    code = "unknown_ref"


class NotFound(Refusal):
    """No job has that id, or it is another owner's: both read the same."""

    code = "not_found"


class SourceUnreadable(Refusal):
    """The file, address or data gives no picture that we read."""

    code = "source_unreadable"


class SourceTooLarge(Refusal):
    """The picture is over 50 MB or 50 megapixels."""

    code = "source_too_large"


class SourceNotAllowed(Refusal):
    """A place or a scheme that may not be read."""

    code = "source_not_allowed"


class UnsupportedByProvider(Refusal):
    """A set, valid argument that the chosen provider does not honour."""

    code = "unsupported_by_provider"


class PlanInvalid(Refusal):
    """A plan whose steps cannot be ordered or are too many."""

    code = "plan_invalid"


class IdempotencyConflict(Refusal):
    """A request_key that belongs to other arguments."""

    code = "idempotency_conflict"


class RateLimited(Refusal):
    """The provider asked us to wait, and longer than we wait by ourselves; or the caller asks this server too often."""

    code = "rate_limited"
    retryable = True


class Trouble(KontextError):
    """A person must act, or it goes by itself."""


class NotConfigured(Trouble):
    """No key for that provider."""

    code = "not_configured"
    key_for: str | None = None

    def by_key_for(self, provider: str) -> None:
        """Say that a key of the caller's own mends it: for that provider, or for any where it is empty."""
        self.key_for = provider


class AuthFailed(Trouble):
    """The provider refused the key."""

    code = "auth_failed"


class OutOfCredit(Trouble):
    """The account at the provider is empty."""

    code = "out_of_credit"


class BudgetExceeded(Trouble):
    """A cap that the operator set would be passed."""

    code = "budget_exceeded"


class ConfirmationNeeded(Trouble):
    """The price is above what a person wants to be asked about."""

    code = "confirmation_needed"
    question: Question | None = None

    def about(self, question: Question) -> None:
        """Name what a person must be asked."""
        self.question = question


class Moderated(Trouble):
    """The provider refused the content."""

    code = "moderated"


class ProviderError(Trouble):
    """The provider failed at the work, or answered what makes no sense."""

    code = "provider_error"


class ProviderUnavailable(Trouble):
    """The provider was not reached, and it is proven that nothing was taken."""

    code = "provider_unavailable"
    retryable = True


class OutcomeUnknown(Trouble):
    """It was sent and no answer came; it may have been charged."""

    code = "outcome_unknown"
    billed = Billed.UNKNOWN


class ResultInvalid(Trouble):
    """What the provider gave is no picture, or the kept file was changed."""

    code = "result_invalid"


class ResultExpired(Trouble):
    """The provider's link died before the picture was fetched."""

    code = "result_expired"
    billed = Billed.YES


class StorageFull(Trouble):
    """There is no space on the disk."""

    code = "storage_full"
    retryable = True


class StorageBusy(Trouble):
    """The database is held by another process, or the storage of the pictures does not answer or refuses us."""

    code = "storage_busy"
    retryable = True


class StorageDamaged(Trouble):
    """The database is not sound, or newer than this program."""

    code = "storage_damaged"


class Cancelled(Trouble):
    """The job was ended by cancel_job."""

    code = "cancelled"
