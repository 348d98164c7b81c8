"""Every named error of the library; bad arguments stay ``ValueError``.

Each class is one thing a caller may want to tell apart. Messages say what was expected,
what was got and what to do.
"""

from __future__ import annotations


class AwmError(Exception):
    """Base of all errors that awm-kit raises on purpose."""


class ReplayError(AwmError):
    """A replay file cannot be used; the subclasses say why."""


class ReplayCorruptError(ReplayError):
    """The bytes are not a complete, well-formed replay."""


class ReplayUnsupportedError(ReplayError):
    """A sound replay of a kind that cannot be used: not 1v1, too old, too short."""


class ReplayVersionError(ReplayUnsupportedError):
    """The replay's format version cannot be read (too old, or one the parser panics on)."""


class ModelFileError(AwmError):
    """A checkpoint, manifest, shard or cartridge is truncated, inconsistent or of another version."""


class RecipeError(AwmError, ValueError):
    """A recipe cannot be read, or asks for what there is not."""


class QuantizationError(AwmError):
    """A network cannot be represented in the integer format."""


class InputBatchError(AwmError):
    """A page sent controllers that it may not send: late, too many, out of order."""


class KernelError(AwmError):
    """The native kernel cannot be built or loaded, or refused a model."""


class CompilerMissingError(KernelError):
    """No C compiler was found."""


class ProgramBuildError(AwmError):
    """The onchain program cannot be compiled or linked."""


class LedgerError(AwmError):
    """A chain could not be reached or did not answer as it should."""


class TransactionError(LedgerError):
    """A transaction failed for a reason outside the world program."""


class InsufficientFundsError(LedgerError):
    """The payer cannot pay for what was asked."""


class ProgramError(LedgerError):
    """The world program refused an instruction.

    Parameters
    ----------
    code : int
        The program's error code, see ``programs/world-model/ACCOUNTS.md``.
    name : str
        Its name there.
    logs : tuple of str
        Program logs of the failed transaction.
    meaning : str
        The name in a sentence.
    """

    def __init__(self, code: int, name: str = "", logs: tuple[str, ...] = (), meaning: str = "") -> None:
        said = f"{name or 'unknown'}, {meaning}" if meaning else name or "unknown"
        super().__init__(f"world program refused: {said} (code {code})")
        self.code = code
        self.name = name
        self.logs = logs


class VerificationError(AwmError):
    """Bytes read back, a replay or a match result do not agree with what was committed."""


class ValidatorError(AwmError):
    """The local validator stack could not be started or died."""


class VideoError(AwmError):
    """A film cannot be written: its encoder is not installed, or refused."""


class KeymapError(AwmError):
    """A file of key bindings cannot be read, or says what no keyboard map may say."""
