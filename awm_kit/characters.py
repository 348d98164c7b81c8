"""Melee's characters by their internal ids, which scuffle's two fighters have as well."""

from __future__ import annotations

_NAMES = (
    *("Mario", "Fox", "Captain Falcon", "Donkey Kong", "Kirby", "Bowser", "Link", "Sheik", "Ness", "Peach"),
    *("Popo", "Nana", "Pikachu", "Samus", "Yoshi", "Jigglypuff", "Mewtwo", "Luigi", "Marth", "Zelda"),
    *("Young Link", "Dr. Mario", "Falco", "Pichu", "Mr. Game & Watch", "Ganondorf", "Roy"),
    *("Master Hand", "Crazy Hand", "Wire Frame (male)", "Wire Frame (female)", "Giga Bowser", "Sandbag"),
)


def character_name(character: int) -> str:
    """The name of a character, ``character 33`` where an id has none."""
    return _NAMES[character] if 0 <= character < len(_NAMES) else f"character {character}"
