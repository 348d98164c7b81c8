"""Names and families of action states, against ids that public replays and tools agree on."""

from __future__ import annotations

import pytest

from awm_kit.action_states import ACTION_STATES, Family, family_of, id_of, name_of
from awm_kit.data.scuffle.actions import Act

KNOWN = {
    0: "DeadDown", 4: "DeadUpStar", 12: "Rebirth", 14: "Wait", 20: "Dash", 24: "KneeBend", 29: "Fall",
    38: "DamageFall", 44: "Attack11", 50: "AttackDash", 60: "AttackS4S", 65: "AttackAirN", 74: "LandingAirLw",
    75: "DamageHi1", 91: "DamageFlyRoll", 178: "GuardOn", 183: "DownBoundU", 199: "Passive",
    205: "ShieldBreakFly", 211: "FuraFura", 212: "Catch", 219: "ThrowF", 223: "CapturePulledHi",
    233: "EscapeF", 236: "EscapeAir",
    239: "ThrownF", 244: "Pass", 252: "CliffCatch", 263: "CliffJumpQuick2", 264: "AppealR", 322: "Entry",
    340: "BarrelCannonWait",
}  # fmt: skip


def test_the_table_is_complete_and_one_to_one() -> None:
    assert sorted(ACTION_STATES) == list(range(341))
    assert len(set(ACTION_STATES.values())) == 341
    for number, name in KNOWN.items():
        assert name_of(number) == name
        assert id_of(name) == number


@pytest.mark.parametrize(
    ("number", "family"),
    [
        (0, Family.DEAD), (14, Family.IDLE), (20, Family.RUN), (25, Family.JUMP), (44, Family.ATTACK),
        (66, Family.AERIAL), (88, Family.TUMBLE), (179, Family.SHIELD), (211, Family.SHIELD_BREAK),
        (216, Family.GRAB), (224, Family.GRABBED), (235, Family.DODGE), (253, Family.LEDGE),
        (368, Family.SPECIAL), (399, Family.SPECIAL), (158, Family.OTHER), (-1, Family.OTHER),
        (1000, Family.OTHER),
    ],
)  # fmt: skip
def test_families(number: int, family: Family) -> None:
    assert family_of(number) is family


def test_unknown_ids_still_have_a_name() -> None:
    assert name_of(356) == "Special356"
    with pytest.raises(KeyError):
        id_of("NoSuchState")


def test_scuffle_only_uses_states_that_can_be_drawn() -> None:
    assert all(family_of(act) is not Family.OTHER for act in Act)
