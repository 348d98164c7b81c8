"""The page of a report, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from awm_kit.characters import character_name
from awm_kit.wording import counted

INTRO = """# What the shipped worlds learned

Made by `{command}`, on games that no world saw in training. Square brackets hold 95 % bootstrap
intervals over games. INT8 is the kernel that plays, FP32 the network before it was quantised. `frozen`
repeats the last true frame, `velocity` moves on as before. `report.json` holds the same and more.
"""


def page(report: dict[str, Any], folder: Path) -> str:
    """Markdown of what `awm_kit.report.make_report` measured; plots are linked relative to ``folder``."""
    parts = [INTRO.format(command=_command(report["effort"]))]
    for name, sections in report["worlds"].items():
        parts += [f"## `{name}`", _facts(sections["facts"])]
        for title, show in SHOWN.items():
            if not (facts := sections[title]):
                continue
            parts.append(f"_No {title}: {facts['left_out']}._" if "left_out" in facts else show(facts))
            if (image := facts.get("plot")) and (folder / image).exists():
                parts.append(f"![{title} of {name}]({image})")
    return "\n\n".join(parts) + "\n"


def _command(effort: dict[str, Any]) -> str:
    return f"awm report --games {effort['games']} --starts {effort['starts']} --minutes {effort['minutes']:g}"


def _facts(facts: dict[str, Any]) -> str:
    size = (
        f"{facts['parameters']:,} parameters, {facts['bytes']:,} bytes, {facts['macs_per_frame']:,} products "
    )
    size += f"and {counted(facts['transactions_per_frame'], 'transaction')} a frame. "
    size += f"World hash `{facts['world_hash']}`."
    learned = f"Learned from {facts.get('trained_on') or 'unnamed games'}"
    if "step" in facts:
        learned += (
            f": {facts['step']:,} steps, {facts.get('frames', 0):,} frames in {facts.get('replays', 0):,} "
        )
        learned += f"replays, {facts.get('seconds', 0) / 60:.0f} minutes"
    if machine := facts.get("machine"):
        learned += f" on {machine}"
    return f"{size}\n{learned}."


def _accuracy(facts: dict[str, Any]) -> str:
    int8, fp32 = facts["int8"], facts["fp32"]
    names = [n for n in ("rc", "action_acc", "percent_err") if n in next(iter(int8["free"].values()))]
    titles = {"rc": "position error, units", "action_acc": "action right, %", "percent_err": "percent error"}
    blocks = [
        f"**Free-running** under the true inputs, {counted(int8['games'], 'game')}, mean over 1..K frames."
    ]
    for name in names:
        baselines = [b for b in ("velocity", "frozen") if f"{b}_{name}" in next(iter(int8["free"].values()))]
        scale = 100 if name == "action_acc" else 1
        rows = [
            [
                k,
                _interval(row[name], int8["intervals"]["free"][k][name], scale),
                _number(fp32["free"][k][name], scale),
                *(_number(row[f"{b}_{name}"], scale) for b in baselines),
            ]
            for k, row in int8["free"].items()
        ]
        blocks.append(_table([f"K ({titles[name]})", "INT8", "FP32", *baselines], rows))
    blocks.append("**One frame ahead** of true frames, %:")
    blocks.append(_table(["", "INT8", "FP32", "cases"], _forced_rows(int8, fp32)))
    return "\n\n".join(blocks)


def _forced_rows(int8: dict[str, Any], fp32: dict[str, Any]) -> Iterable[Sequence[str]]:
    for name, value in int8["teacher_forced"].items():
        if name.endswith("_exact"):
            continue
        ends, scale = int8["intervals"]["teacher_forced"][name], 1 if name.endswith("_err") else 100
        event = name.rpartition("_")[0]
        cases = f"{int8['events'][event]:,}" if name.endswith("_recall") else ""
        label = name.replace("_", " ").replace("acc", "right").replace("err", "error (percent)")
        yield label, _interval(value, ends, scale), _number(fp32["teacher_forced"][name], scale), cases


def _soak(facts: dict[str, Any]) -> str:
    head = f"{PLAYERS[facts['players']]} for {facts['minutes']:.1f} minutes in "
    head += f"{counted(facts['matches'], 'match', 'matches')}, beside "
    head += f"{facts['reference_minutes']:.1f} minutes of the reference."
    rows = []
    for name, ratio in facts["ratios"].items():
        ends = facts["intervals"][name]
        world = _interval(facts[f"{name}s_per_minute"], ends["world"])
        true = _interval(facts[f"reference_{name}s_per_minute"], ends["reference"])
        rows.append([name.replace("_", " "), world, true, "" if ratio is None else f"{ratio:.2f}"])
    wrong = [[k.replace("_", " "), f"{n:,}", f"{n / facts['minutes']:.2f}"] for k, n in _wrongs(facts)]
    return "\n\n".join(
        [
            head,
            _table(["a minute", "world", "reference", "ratio"], rows),
            _table(["impossible", "frames", "a minute"], wrong),
        ]
    )


#: Who played in a soak: scripted players see what the world does, a recording goes on with what it held.
PLAYERS = {
    "scripted": "**Left alone** with scripted players, who also play the reference, the teacher,",
    "recorded": "**Left alone** under the inputs of recorded games, which are the reference,",
}


def _wrongs(facts: dict[str, Any]) -> Iterable[tuple[str, int]]:
    yield from facts["impossible_events"].items()
    yield "all", sum(facts["impossible_events"].values())


def _probes(facts: dict[str, Any]) -> str:
    column = "taught" if "taught" in facts["probes"][0] else "in_games"
    where = {"taught": "the same in its teacher", "in_games": "what games show of them"}[column]
    rows = [
        [
            r["name"],
            character_name(r["character"]),
            f"{r[column]:.3f}",
            f"{r['learned']:.3f}",
            f"{100 * r['error']:.1f} %",
            r["unit"],
        ]
        for r in facts["probes"]
    ]
    head = f"**Physics**, small experiments in the world, and {where}:"
    names = ["probe", "character", column.replace("_", " "), "learned", "error", "unit"]
    return f"{head}\n\n" + _table(names, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(value: float | None, ends: Sequence[float | None], scale: float = 1) -> str:
    if value is None:
        return "none seen"
    return f"{_number(value, scale)} [{_number(ends[0], scale)}, {_number(ends[1], scale)}]"


def _number(value: float | None, scale: float = 1) -> str:
    if value is None:
        return "none seen"
    shown = value * scale
    return f"{shown:.1f}" if scale == 100 else f"{shown:.2f}" if abs(shown) >= 0.1 else f"{shown:.3f}"


#: Section -> what writes it, in the order of the page; a section with nothing in it is not for this world.
SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "accuracy": _accuracy,
    "soak": _soak,
    "play": _soak,
    "probes": _probes,
}
