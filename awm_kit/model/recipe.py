"""A world's recipe: one TOML file names the data, the network and the training that make it.

.. code-block:: toml

    name = "scuffle"
    trained_on = "scuffle, the built-in teacher"

    [data]
    kind = "scuffle"      # or "replays", with folders = [...]
    seeds = [0, 400]      # teacher matches
    n_frames = 3600       # at most, each
    [data.params]         # physics that differ from the teacher's defaults
    gravity_scale = 1.0

    [model]               # fields of ModelConfig
    [train]               # fields of TrainConfig
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from awm_kit.data.augment import mirror
from awm_kit.data.folder import iter_folder, load_any, load_folder
from awm_kit.data.replay import Replay
from awm_kit.data.teachers import DRILLS, TEACHERS, Teacher
from awm_kit.errors import ModelFileError
from awm_kit.files import find_file
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.practice import KnockoutPractice, Practice, TeacherPractice, rare_segments
from awm_kit.model.ranks import Ranks, device_of_process
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.transfer import refit, with_features, with_layers, with_width
from awm_kit.schema import FIGHTER, Schema

UNSEEN_SEED = 50_000  # recipes train on seeds below it


@dataclass(frozen=True)
class Recipe:
    """How to make a world again.

    Attributes
    ----------
    name, trained_on : str
        For the manifest.
    kind : str
        A built-in game (`awm_kit.data.teachers.TEACHERS`) or ``replays``.
    seeds : tuple of int
        First and last + 1 of the teacher's seeds.
    n_frames : int
        Frames per teacher match, at most.
    folders : tuple of str
        Replay folders, for ``replays``.
    holdout : tuple of str
        File names never trained on.
    augment : bool
        Add every game mirrored.
    params : dict
        Teacher physics that differ from the default.
    parent : str
        Shipped world or checkpoint whose network is trained on, with codebooks refitted, the
        schema's features and at least the layers and width that the recipe asks for; none by default.
    fights, strikes, swings, throws, moves, exits, strays, crashes, brinks : int
        Drills beside the matches: the first six scuffle's, the last two bumper's; see their ``drills.py``.
    drill_share : float
        Share of the frames walked that are drills'.
    rare_share : float
        Share of the replays walked that are the frames about rare events.
    rare_events : tuple of str
        Which: of ``ko``, ``respawn``, ``edge_grab``, ``hit``.
    stored : bool
        Keep the games packed in the run's folder and read them from there: for more than fit in memory.
    """

    name: str
    trained_on: str = ""
    kind: str = "scuffle"
    seeds: tuple[int, int] = (0, 100)
    n_frames: int = 3600
    folders: tuple[str, ...] = ()
    holdout: tuple[str, ...] = ()
    augment: bool = False
    params: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    fights: int = 0
    strikes: int = 0
    swings: int = 0
    throws: int = 0
    moves: int = 0
    exits: int = 0
    strays: int = 0
    crashes: int = 0
    brinks: int = 0
    drill_share: float = 0.1
    rare_share: float = 0.0
    rare_events: tuple[str, ...] = ("ko",)
    stored: bool = False
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def schema(self) -> Schema:
        """The schema of the data."""
        return self.teacher.schema if self.teacher else FIGHTER

    @property
    def teacher(self) -> Teacher | None:
        """The built-in game, if it is one."""
        return Teacher(self.kind, self.params) if self.kind in TEACHERS else None

    @property
    def drills(self) -> dict[str, int]:
        """How many of each drill of any game."""
        return {name: getattr(self, name) for names in DRILLS.values() for name in names}

    def notes(self) -> dict[str, Any]:
        """What the manifest says about the training."""
        source: dict[str, Any] = {"kind": self.kind, "params": self.params}
        if self.teacher:
            source |= {"seeds": list(self.seeds), "n_frames": self.n_frames}
        if drills := {name: count for name, count in self.drills.items() if count}:
            source["drills"] = {**drills, "share": self.drill_share}
        if self.rare_share:
            source["rare"] = {"events": list(self.rare_events), "share": self.rare_share}
        if self.augment:
            source["augment"] = True
        return {"name": self.name, "trained_on": self.trained_on, "data": source}

    def replays(self, progress: bool = True) -> list[Replay]:
        """Make or load the training games."""
        if self.teacher:
            return self.teacher.generate(range(*self.seeds), self.n_frames)
        games = []
        for folder in self.folders:
            report = load_folder(Path(folder), progress=progress)
            games += [r for r in report.replays if Path(r.source).name not in self.holdout]
        return games + [mirror(r) for r in games] if self.augment else games

    def unseen(self, count: int) -> list[Replay]:
        """At most ``count`` games never trained on: those held out, or the teacher's under other seeds.

        Empty if the recipe holds none out or their folders are not on this machine.
        """
        if self.kind != "replays":
            first = max(UNSEEN_SEED, self.seeds[1])
            return replace(self, seeds=(first, first + count)).replays(progress=False)
        files = [Path(folder, name) for name in self.holdout for folder in self.folders]
        return [load_any(file) for file in files if file.is_file()][:count]

    def data(self, progress: bool = True) -> PackedReplays:
        """The training games as tensors."""
        return self.pack(self.replays(progress))

    def pack(self, games: list[Replay]) -> PackedReplays:
        """Games as tensors, with rare events and drills as often as the recipe wants them."""
        data = PackedReplays(self.schema, games)
        if self.rare_share and (rare := self._rare(games)):
            data = data.joined(PackedReplays(self.schema, rare), self.rare_share)
        return self._with_drills(data)

    def on_disk(self, folder: Path) -> PackedReplays:
        """The training games in a folder, written by the first process that needs them."""
        Ranks.joined(device_of_process()).from_first(lambda: self._kept(folder).n_frames)
        return self._kept(folder)

    def _kept(self, folder: Path) -> PackedReplays:
        key = repr(
            (self.kind, self.seeds, self.n_frames, self.folders, self.holdout, self.augment, self.params)
        )
        data = PackedReplays.stored(self.schema, self.batches(), folder / "games", key)
        if self.rare_share:
            rare = (self._rare(games) for games in self.batches())
            key = repr((key, self.rare_events))
            stored = PackedReplays.stored(self.schema, rare, folder / "rare", key)
            data = data.joined(stored, self.rare_share)
        return self._with_drills(data)

    def _with_drills(self, data: PackedReplays) -> PackedReplays:
        drills = self.teacher.drills(self.drills) if self.teacher else []
        if not drills:
            return data
        extra = PackedReplays(self.schema, drills)
        walks = (1 - self.drill_share) / data.mean_walk, self.drill_share / extra.mean_walk
        return data.joined(extra, walks[1] / sum(walks))

    def _rare(self, games: list[Replay]) -> list[Replay]:
        return rare_segments(games, schema=self.schema, events=self.rare_events)

    def batches(self, size: int = 64) -> Iterator[list[Replay]]:
        """The training games, ``size`` of them in memory at a time."""
        if self.kind != "replays":
            for first in range(*self.seeds, size):
                yield replace(self, seeds=(first, min(first + size, self.seeds[1]))).replays(progress=False)
            return
        for folder in self.folders:
            for game in iter_folder(Path(folder)):
                if isinstance(game, Replay) and Path(game.source).name not in self.holdout:
                    yield [game, mirror(game)] if self.augment else [game]

    def trainer(
        self, folder: Path | str, progress: bool = True, other_data: bool = False, **changes: Any
    ) -> Trainer:
        """The training run that this recipe describes.

        Parameters
        ----------
        folder : path
            Of the run; resumed if there is one.
        other_data : bool
            Resume it even though it began on other data.
        **changes
            Fields of `TrainConfig` to replace.

        Raises
        ------
        ModelFileError
            If there is no such parent, or the folder holds another run: see `Trainer`.
        """
        games = [] if self.stored else self.replays(progress)
        data = self.on_disk(Path(folder) / "data") if self.stored else self.pack(games)
        model, notes = None, self.notes()
        if self.parent:
            saved = find_file(self.parent, ".safetensors", "checkpoint", ModelFileError)
            model, before = load_checkpoint(saved)
            known = ("name", "step", "data_sha256")
            notes["started_from"] = {key: before[key] for key in known if key in before}
            model = refit(with_features(model, data.schema), data)
            wanted, present = self.train.model, model.config
            model = with_layers(model, max(wanted.n_layers, present.n_layers))
            model = with_width(model, max(wanted.d_model, present.d_model))
        config = replace(self.train, **changes)
        if model is not None:
            config = replace(config, model=model.config)
        return Trainer(
            data, config, folder, model, notes, practice=self.practice(games), other_data=other_data
        )

    def practice(self, games: list[Replay]) -> Practice | None:
        """Who corrects the network's own play, if the recipe has it play."""
        if not self.train.practice_from:
            return None
        if self.stored and self.kind == "replays":
            raise ValueError("practice on recorded games needs them in memory: leave out `stored`")
        return TeacherPractice(self.teacher) if self.teacher else KnockoutPractice(games)
