"""Melee's common action states: names by id, and the family that a view needs to draw one.

Ids 0..340 are the same for every character. From 341 on they are a character's own specials, of
which only those that `awm_kit.data.scuffle` uses are named here.
"""

from __future__ import annotations

from enum import IntEnum

_NAMES = """
DeadDown DeadLeft DeadRight DeadUp DeadUpStar DeadUpStarIce DeadUpFall DeadUpFallHitCamera
DeadUpFallHitCameraFlat DeadUpFallIce DeadUpFallHitCameraIce Sleep Rebirth RebirthWait Wait
WalkSlow WalkMiddle WalkFast Turn TurnRun Dash Run RunDirect RunBrake KneeBend JumpF JumpB
JumpAerialF JumpAerialB Fall FallF FallB FallAerial FallAerialF FallAerialB FallSpecial
FallSpecialF FallSpecialB DamageFall Squat SquatWait SquatRv Landing LandingFallSpecial
Attack11 Attack12 Attack13 Attack100Start Attack100Loop Attack100End AttackDash AttackS3Hi
AttackS3HiS AttackS3S AttackS3LwS AttackS3Lw AttackHi3 AttackLw3 AttackS4Hi AttackS4HiS
AttackS4S AttackS4LwS AttackS4Lw AttackHi4 AttackLw4 AttackAirN AttackAirF AttackAirB
AttackAirHi AttackAirLw LandingAirN LandingAirF LandingAirB LandingAirHi LandingAirLw DamageHi1
DamageHi2 DamageHi3 DamageN1 DamageN2 DamageN3 DamageLw1 DamageLw2 DamageLw3 DamageAir1
DamageAir2 DamageAir3 DamageFlyHi DamageFlyN DamageFlyLw DamageFlyTop DamageFlyRoll LightGet
HeavyGet LightThrowF LightThrowB LightThrowHi LightThrowLw LightThrowDash LightThrowDrop
LightThrowAirF LightThrowAirB LightThrowAirHi LightThrowAirLw HeavyThrowF HeavyThrowB
HeavyThrowHi HeavyThrowLw LightThrowF4 LightThrowB4 LightThrowHi4 LightThrowLw4 LightThrowAirF4
LightThrowAirB4 LightThrowAirHi4 LightThrowAirLw4 HeavyThrowF4 HeavyThrowB4 HeavyThrowHi4
HeavyThrowLw4 SwordSwing1 SwordSwing3 SwordSwing4 SwordSwingDash BatSwing1 BatSwing3 BatSwing4
BatSwingDash ParasolSwing1 ParasolSwing3 ParasolSwing4 ParasolSwingDash HarisenSwing1
HarisenSwing3 HarisenSwing4 HarisenSwingDash StarRodSwing1 StarRodSwing3 StarRodSwing4
StarRodSwingDash LipStickSwing1 LipStickSwing3 LipStickSwing4 LipStickSwingDash ItemParasolOpen
ItemParasolFall ItemParasolFallSpecial ItemParasolDamageFall LGunShoot LGunShootAir
LGunShootEmpty LGunShootAirEmpty FireFlowerShoot FireFlowerShootAir ItemScrew ItemScrewAir
DamageScrew DamageScrewAir ItemScopeStart ItemScopeRapid ItemScopeFire ItemScopeEnd
ItemScopeAirStart ItemScopeAirRapid ItemScopeAirFire ItemScopeAirEnd ItemScopeStartEmpty
ItemScopeRapidEmpty ItemScopeFireEmpty ItemScopeEndEmpty ItemScopeAirStartEmpty
ItemScopeAirRapidEmpty ItemScopeAirFireEmpty ItemScopeAirEndEmpty LiftWait LiftWalk1 LiftWalk2
LiftTurn GuardOn Guard GuardOff GuardSetOff GuardReflect DownBoundU DownWaitU DownDamageU
DownStandU DownAttackU DownForwardU DownBackU DownSpotU DownBoundD DownWaitD DownDamageD
DownStandD DownAttackD DownForwardD DownBackD DownSpotD Passive PassiveStandF PassiveStandB
PassiveWall PassiveWallJump PassiveCeil ShieldBreakFly ShieldBreakFall ShieldBreakDownU
ShieldBreakDownD ShieldBreakStandU ShieldBreakStandD FuraFura Catch CatchPull CatchDash
CatchDashPull CatchWait CatchAttack CatchCut ThrowF ThrowB ThrowHi ThrowLw CapturePulledHi
CaptureWaitHi CaptureDamageHi CapturePulledLw CaptureWaitLw CaptureDamageLw CaptureCut
CaptureJump CaptureNeck CaptureFoot EscapeF EscapeB Escape EscapeAir ReboundStop Rebound ThrownF
ThrownB ThrownHi ThrownLw ThrownLwWomen Pass Ottotto OttottoWait FlyReflectWall FlyReflectCeil
StopWall StopCeil MissFoot CliffCatch CliffWait CliffClimbSlow CliffClimbQuick CliffAttackSlow
CliffAttackQuick CliffEscapeSlow CliffEscapeQuick CliffJumpSlow1 CliffJumpSlow2 CliffJumpQuick1
CliffJumpQuick2 AppealR AppealL ShoulderedWait ShoulderedWalkSlow ShoulderedWalkMiddle
ShoulderedWalkFast ShoulderedTurn ThrownFF ThrownFB ThrownFHi ThrownFLw CaptureCaptain
CaptureYoshi YoshiEgg CaptureKoopa CaptureDamageKoopa CaptureWaitKoopa ThrownKoopaF ThrownKoopaB
CaptureKoopaAir CaptureDamageKoopaAir CaptureWaitKoopaAir ThrownKoopaAirF ThrownKoopaAirB
CaptureKirby CaptureWaitKirby ThrownKirbyStar ThrownCopyStar ThrownKirby BarrelWait Bury BuryWait
BuryJump DamageSong DamageSongWait DamageSongRv DamageBind CaptureMewtwo CaptureMewtwoAir
ThrownMewtwo ThrownMewtwoAir WarpStarJump WarpStarFall HammerWait HammerWalk HammerTurn
HammerKneeBend HammerFall HammerJump HammerLanding KinokoGiantStart KinokoGiantStartAir
KinokoGiantEnd KinokoGiantEndAir KinokoSmallStart KinokoSmallStartAir KinokoSmallEnd
KinokoSmallEndAir Entry EntryStart EntryEnd DamageIce DamageIceJump CaptureMasterHand
CaptureDamageMasterHand CaptureWaitMasterHand ThrownMasterHand CaptureKirbyYoshi KirbyYoshiEgg
CaptureLeadead CaptureLikelike DownReflect CaptureCrazyHand CaptureDamageCrazyHand
CaptureWaitCrazyHand ThrownCrazyHand BarrelCannonWait
"""

#: Name by id for the 341 states that all characters share.
ACTION_STATES: dict[int, str] = dict(enumerate(_NAMES.split()))

#: States up to this one are those of a knock-out or a return.
LAST_RESPAWN_STATE = 13

#: The two specials that `scuffle` has: an upwards leap, as Fox (character 1) and Marth (18).
FOX_SPECIAL_AIR_HI = 356
MARTH_SPECIAL_AIR_HI = 368

_IDS = {name: number for number, name in ACTION_STATES.items()}


class Family(IntEnum):
    """What a character is doing, coarsely: enough to choose how to draw it."""

    DEAD, RESPAWN, IDLE, WALK, RUN, CROUCH, JUMP, FALL, LANDING, ATTACK, AERIAL, SPECIAL, HIT, TUMBLE, \
        SHIELD, SHIELD_BREAK, GRAB, GRABBED, DODGE, DOWN, LEDGE, OTHER = range(22)  # fmt: skip


_RANGES: tuple[tuple[int, int, Family], ...] = (
    (0, 11, Family.DEAD), (12, 13, Family.RESPAWN), (14, 14, Family.IDLE), (15, 18, Family.WALK),
    (19, 23, Family.RUN), (24, 24, Family.CROUCH), (25, 28, Family.JUMP), (29, 37, Family.FALL),
    (38, 38, Family.TUMBLE), (39, 41, Family.CROUCH), (42, 43, Family.LANDING), (44, 64, Family.ATTACK),
    (65, 69, Family.AERIAL), (70, 74, Family.LANDING), (75, 86, Family.HIT), (87, 91, Family.TUMBLE),
    (120, 143, Family.ATTACK), (178, 182, Family.SHIELD), (183, 198, Family.DOWN), (199, 204, Family.DODGE),
    (205, 211, Family.SHIELD_BREAK), (212, 222, Family.GRAB), (223, 232, Family.GRABBED),
    (233, 236, Family.DODGE), (239, 243, Family.GRABBED), (244, 244, Family.FALL), (245, 246, Family.IDLE),
    (247, 248, Family.TUMBLE), (251, 251, Family.FALL), (252, 263, Family.LEDGE), (264, 265, Family.IDLE),
    (271, 289, Family.GRABBED), (322, 324, Family.RESPAWN), (341, 399, Family.SPECIAL),
)  # fmt: skip

_FAMILIES = [Family.OTHER] * 400
for _first, _last, _family in _RANGES:
    _FAMILIES[_first : _last + 1] = [_family] * (_last + 1 - _first)


def name_of(action_state: int) -> str:
    """Melee's own name of an action state; ``Special341`` and so on beyond the common ones."""
    return ACTION_STATES.get(action_state, f"Special{action_state}")


def id_of(name: str) -> int:
    """The id of a common state by name; ``KeyError`` if there is none."""
    return _IDS[name]


def family_of(action_state: int) -> Family:
    """The `Family` of an action state; ``OTHER`` for items, transformations and unknown ids."""
    return _FAMILIES[action_state] if 0 <= action_state < len(_FAMILIES) else Family.OTHER
