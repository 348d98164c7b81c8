"""The linker: what it makes runs in a Solana VM, and what cannot run is refused with the reason."""

from pathlib import Path

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from awm_kit.chain.sbf.build import compile_object
from awm_kit.chain.sbf.link import link
from awm_kit.errors import ProgramBuildError

PRELUDE = """
typedef unsigned long long u64; typedef unsigned int u32;
extern u64 sol_log_(const char *, u64);
extern u64 sol_log_64_(u64, u64, u64, u64, u64);
"""


def obj(tmp_path: Path, code: str, name: str = "a") -> bytes:
    source = tmp_path / f"{name}.c"
    source.write_text(PRELUDE + code)
    return compile_object(source)


def run(program: bytes) -> tuple[int, list[str]]:
    """The program's return code and logs."""
    svm, payer, key = LiteSVM(), Keypair(), Pubkey.new_unique()
    svm.airdrop(payer.pubkey(), 10**9)
    svm.add_program(key, program)
    call = Instruction(key, b"", [AccountMeta(payer.pubkey(), True, True)])
    message = Message([call], payer.pubkey())
    result = svm.send_transaction(Transaction([payer], message, svm.latest_blockhash()))
    if isinstance(result, FailedTransactionMetadata):
        return result.err().err.code, result.meta().logs()
    return 0, result.logs()


def test_program_without_data_or_calls(tmp_path):
    assert run(link([obj(tmp_path, "u64 entrypoint(void *in) { (void)in; return 41; }")]))[0] == 41


def test_syscall_and_string(tmp_path):
    code = 'u64 entrypoint(void *in) { (void)in; sol_log_("linked", 6); sol_log_("again", 5); return 0; }'
    rc, logs = run(link([obj(tmp_path, code)]))
    assert rc == 0
    assert {"Program log: linked", "Program log: again"} <= set(logs)


def test_static_call_and_table_within_one_object(tmp_path):
    code = """
    static const u64 table[3] = {11, 22, 33};
    static __attribute__((noinline)) u64 pick(u64 i) { return table[i % 3] + 1; }
    static __attribute__((noinline)) u64 twice(u64 i) { return pick(i) + pick(i + 1); }
    u64 entrypoint(u64 *in) { return twice(in[0]) == 57 ? twice(in[0] + 1) : 1; }
    """  # one account: 23 + 34, then 34 + 12
    assert run(link([obj(tmp_path, code)]))[0] == 46


def test_pointers_inside_data(tmp_path):
    code = """
    static const u64 a[3] = {5, 6, 7}, b = 9;
    static const u64 *const table[3] = {&b, a + 2, a};
    u64 entrypoint(u64 *in) { return *table[in[0]] * 100 + *table[in[0] + 1] * 10 + *table[in[0] - 1]; }
    """
    assert run(link([obj(tmp_path, code)]))[0] == 759


def test_calls_and_data_across_objects_in_any_order(tmp_path):
    declared = "extern const u64 table[4]; u64 far(u64);"
    main = obj(tmp_path, declared + "u64 entrypoint(u64 *in) { return far(in[0] + table[3]); }")
    other = obj(tmp_path, "const u64 table[4] = {1, 2, 3, 5}; u64 far(u64 x) { return x * 7 + table[2]; }")
    assert run(link([main, other]))[0] == run(link([other, main]))[0] == 45


def test_unreached_functions_are_dropped(tmp_path):
    used = "u64 entrypoint(void *in) { (void)in; return 3; }"
    spare = "u64 nowhere(u64); u64 spare(u64 x) { return nowhere(x) + 12345; }"
    assert link([obj(tmp_path, used + spare)]) == link([obj(tmp_path, used, "b")])


def test_same_input_gives_same_bytes(tmp_path):
    code = 'u64 entrypoint(void *in) { (void)in; sol_log_("x", 1); return 0; }'
    assert link([obj(tmp_path, code)]) == link([obj(tmp_path, code, "elsewhere")])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("u64 entrypoint(u64 *in) { return in[0] == (u64)sol_log_; }", "no address"),
        ("u64 other(void) { return 0; }", "entry point"),
        ("u64 nowhere(void); u64 entrypoint(void *in) { (void)in; return nowhere(); }", "'nowhere' is used"),
        ("u64 count; u64 entrypoint(void *in) { (void)in; return ++count; }", "writable"),
    ],
)  # fmt: skip
def test_refused(tmp_path, code, reason):
    with pytest.raises(ProgramBuildError, match=reason):
        link([obj(tmp_path, code)])


def test_symbol_defined_twice(tmp_path):
    one = obj(tmp_path, "u64 entrypoint(void *in) { (void)in; return 0; }")
    with pytest.raises(ProgramBuildError, match="'entrypoint' is defined twice"):
        link([one, one])


@pytest.mark.parametrize("blob", [b"", b"\x7fELF", bytes(64), b"\x7fELF\x02\x01\x01" + bytes(64)])
def test_not_an_object(blob):
    with pytest.raises(ProgramBuildError, match="not a 64-bit"):
        link([blob])


def test_compiler_messages_reach_the_user(tmp_path):
    with pytest.raises(ProgramBuildError, match="undeclared"):
        obj(tmp_path, "u64 entrypoint(void) { return oops; }")
