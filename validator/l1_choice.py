"""Which L1 the local network stands on: the one here, a tool on the PATH, or one that runs already."""

from __future__ import annotations

import base64
import json
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.delegation import DELEGATION_PROGRAM_ID
from awm_kit.errors import ValidatorError

BUILT_IN, AUTO = "built-in", "auto"
TOOLS = {
    "solana-test-validator": "it comes with the Solana tools",
    "surfpool": "see its documentation",
}
TICK_MS = 6.25  # of solana-test-validator
UPGRADEABLE_LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
_PROGRAM_RENT = 10**10


@dataclass(frozen=True)
class L1Plan:
    """What an L1 started here needs.

    Attributes
    ----------
    folder : Path
        Where tools keep their ledger.
    state : Path or None
        File or folder that outlives it.
    program : Path
        Image of the world program.
    dumps : Path or None
        Folder of accounts and programs that the rollup wants on its L1.
    tied : bool
        Whether it ends when standard input closes.
    """

    folder: Path
    port: int
    slot_ms: int
    state: Path | None
    program: Path
    dumps: Path | None
    tied: bool


def choose(wanted: str) -> str:
    """What ``auto`` stands for, or ``wanted`` itself: a URL, a tool, or the built-in L1.

    Raises
    ------
    ValidatorError
        The tool is not installed, or there is no such choice.
    """
    if wanted == AUTO:
        return next((tool for tool in TOOLS if shutil.which(tool)), BUILT_IN)
    if wanted == BUILT_IN or is_url(wanted):
        return wanted
    if wanted not in TOOLS:
        raise ValidatorError(
            f"expected an L1 of {AUTO}, {BUILT_IN}, {', '.join(TOOLS)} or a URL (got {wanted!r})"
        )
    if shutil.which(wanted) is None:
        raise ValidatorError(f"{wanted} is not on the PATH ({TOOLS[wanted]}); --l1 {BUILT_IN} needs nothing")
    return wanted


def is_url(text: str) -> bool:
    """Whether this names a running L1."""
    return text.startswith(("http://", "https://"))


def command(kind: str, plan: L1Plan) -> list[str]:
    """How to start the L1 of this kind."""
    if kind == BUILT_IN:
        return _built_in(plan)
    tool = _test_validator(plan) if kind == "solana-test-validator" else _surfpool(plan)
    log = str(plan.folder / "l1-screen.log")
    # The wrapper ends with whoever started it, which the tools do not.
    return [sys.executable, "-m", "validator.terminal", *(["--while-stdin"] if plan.tied else []), log, *tool]


def check_remote(url: str, with_rollup: bool) -> None:
    """Whether a running L1 has what matches need.

    Raises
    ------
    ValidatorError
        It does not answer, or a program is missing there.
    """
    wanted = {PROGRAM_ID: "the world program (awm_kit/chain/world_model.so): deploy it there"}
    if with_rollup:
        wanted[DELEGATION_PROGRAM_ID] = "MagicBlock's delegation program: use a cluster that has it"
    body = {"jsonrpc": "2.0", "id": 1, "method": "getMultipleAccounts"}
    encoded = json.dumps(body | {"params": [[str(key) for key in wanted], {"encoding": "base64"}]}).encode()
    request = urllib.request.Request(url, encoded, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.loads(answer.read())["result"]["value"]
    except (OSError, ValueError, KeyError) as error:
        raise ValidatorError(f"no L1 answers at {url}: {error}") from error
    for account, (key, what) in zip(found, wanted.items(), strict=True):
        if not (account and account["executable"]):
            raise ValidatorError(f"the L1 at {url} lacks {key}, {what}")


def _built_in(plan: L1Plan) -> list[str]:
    line = [sys.executable, "-m", "validator.l1", "--port", str(plan.port), "--slot-ms", str(plan.slot_ms)]
    line += ["--program", f"{PROGRAM_ID}={plan.program}"]
    if plan.dumps:
        line += ["--dumps", str(plan.dumps)]
    if plan.state:
        line += ["--state", str(plan.state / "l1.sqlite")]
    return [*line, *(["--while-stdin"] if plan.tied else [])]


def _test_validator(plan: L1Plan) -> list[str]:
    line = ["solana-test-validator", "--quiet", "--bind-address", "127.0.0.1", "--rpc-port", str(plan.port)]
    line += ["--faucet-port", str(plan.port + 2)]
    line += ["--ticks-per-slot", str(max(1, round(plan.slot_ms / TICK_MS)))]
    line += ["--ledger", str((plan.state or plan.folder) / "test-ledger")]
    for key, image in _programs(plan).items():
        line += ["--bpf-program", str(key), str(image)]
    for path in _accounts(plan):
        line += ["--account", "-", str(path)]
    return line


def _surfpool(plan: L1Plan) -> list[str]:
    line = ["surfpool", "start", "--offline", "--no-tui", "--no-deploy", "--host", "127.0.0.1"]
    line += ["--port", str(plan.port), "--ws-port", str(plan.port + 1), "--slot-time", str(plan.slot_ms)]
    snapshot = plan.folder / "snapshot.json"
    snapshot.write_text(json.dumps(_snapshot(plan)))
    return [*line, "--snapshot", str(snapshot)]


def _programs(plan: L1Plan) -> dict[Pubkey, Path]:
    dumped = sorted(plan.dumps.glob("*.so")) if plan.dumps else []
    return {PROGRAM_ID: plan.program, **{Pubkey.from_string(path.stem): path for path in dumped}}


def _accounts(plan: L1Plan) -> list[Path]:
    return sorted(plan.dumps.glob("*.json")) if plan.dumps else []


def _snapshot(plan: L1Plan) -> dict[str, Any]:
    """Accounts by key as surfpool reads them; a program is two, one of which has the code."""
    shown: dict[str, Any] = {}

    def put(key: Pubkey, lamports: int, owner: str, executable: bool, data: bytes) -> None:
        shown[str(key)] = {
            "lamports": lamports,
            "owner": owner,
            "executable": executable,
            "rentEpoch": 0,
            "data": base64.b64encode(data).decode(),
        }

    for key, image in _programs(plan).items():
        code, _ = Pubkey.find_program_address([bytes(key)], UPGRADEABLE_LOADER)
        head = (3).to_bytes(4, "little") + bytes(8 + 1 + 32)  # deployed in slot 0, without authority
        put(code, _PROGRAM_RENT, str(UPGRADEABLE_LOADER), False, head + image.read_bytes())
        put(key, _PROGRAM_RENT, str(UPGRADEABLE_LOADER), True, (2).to_bytes(4, "little") + bytes(code))
    for path in _accounts(plan):
        raw = json.loads(path.read_text())
        fields = raw["account"]
        key, data = Pubkey.from_string(raw["pubkey"]), base64.b64decode(fields["data"][0])
        put(key, fields["lamports"], fields["owner"], fields["executable"], data)
    return shown
