"""What is asked about scenes, and the right answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenes import (
    COLORS,
    POSITIONS,
    SHAPES,
    Scene,
    Thing,
    free_cells,
    random_thing,
    with_things,
)

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
COLOR_NAMES = tuple(COLORS)


@dataclass(frozen=True)
class Turn:
    kind: str
    question: str
    answer: str
    focus: Thing | None = None  # what `it` means in the next question
    picture: int = 0  # of two, the one to look at
    counted: tuple | None = None  # the cells that count


def plural(shape: str) -> str:
    return shape + ("es" if shape.endswith("s") else "s")


def box_text(box) -> str:
    return "<bbox>" + ", ".join(f"{v:.2f}" for v in box) + "</bbox>"


def one_of(rng, *texts: str) -> str:
    return texts[int(rng.integers(len(texts)))]


def only(items: list):
    return items[0] if len(items) == 1 else None


def reference(rng, scene: Scene, thing: Thing) -> str | None:
    """A name that fits this thing and no other."""
    names = []
    if only([t for t in scene.things if t.shape == thing.shape]):
        names.append(thing.shape)
    if only([t for t in scene.things if t.color == thing.color]):
        names.append(f"{thing.color} shape")
    if only([t for t in scene.things if t.name == thing.name]):
        names.append(thing.name)
    return str(rng.choice(names)) if names else None


def ask_color(rng, scene):
    thing = scene.things[rng.integers(len(scene.things))]
    place = f"shape at the {thing.position}"
    alone = only([t for t in scene.things if t.shape == thing.shape])
    name = thing.shape if alone and rng.random() < 0.65 else place
    return Turn("color", one_of(rng, f"What color is the {name}?", f"What colour is the {name}?"), thing.color, thing)


def ask_shape(rng, scene):
    thing = scene.things[rng.integers(len(scene.things))]
    if only([t for t in scene.things if t.color == thing.color]) and rng.random() < 0.5:
        return Turn("shape", one_of(rng, f"What shape is {thing.color}?", f"Which shape is {thing.color}?"), thing.shape, thing)
    where = thing.position
    return Turn("shape", one_of(rng, f"What shape is at the {where}?", f"Which shape is at the {where}?"), thing.shape, thing)


def ask_position(rng, scene):
    thing = scene.things[rng.integers(len(scene.things))]
    name = reference(rng, scene, thing)
    return name and Turn("position", f"Where is the {name}?", thing.position, thing)


def ask_box(rng, scene):
    thing = scene.things[rng.integers(len(scene.things))]
    name = reference(rng, scene, thing)
    question = one_of(rng, f"Give the bounding box of the {name}.", f"Where exactly is the {name}?")
    return name and Turn("box", question, box_text(thing.box), thing)


def ask_count(rng, scene):
    form = rng.random()
    if form < 0.35:
        name, counted = "shapes", scene.things
    elif form < 0.7:
        shape = (
            str(rng.choice([t.shape for t in scene.things])) if scene.things and rng.random() < 0.75 else str(rng.choice(SHAPES))
        )
        name, counted = plural(shape), [t for t in scene.things if t.shape == shape]
    else:
        color = (
            str(rng.choice([t.color for t in scene.things]))
            if scene.things and rng.random() < 0.75
            else str(rng.choice(COLOR_NAMES))
        )
        name, counted = f"{color} shapes", [t for t in scene.things if t.color == color]
    question = one_of(rng, f"How many {name} are there?", f"How many {name} do you see?")
    return Turn("count", question, str(len(counted)), counted=tuple(t.cell for t in counted))


def ask_word(rng, scene):
    if scene.sign is None:
        return Turn("no sign", "What does the sign say?", "there is no sign") if rng.random() < 0.15 else None
    what = "number" if scene.sign.is_number else "word"
    questions = ("What does the sign say?", f"What {what} is printed?", f"Which {what} is printed?", "Read the sign.")
    return Turn("word", one_of(rng, *questions), scene.sign.text)


def ask_presence(rng, scene):
    if scene.things and rng.random() < 0.5:
        name = scene.things[rng.integers(len(scene.things))].name
    elif scene.things and rng.random() < 0.6:  # what is nearly there
        name = f"{rng.choice([t.color for t in scene.things])} {rng.choice([t.shape for t in scene.things])}"
    else:
        name = f"{rng.choice(COLOR_NAMES)} {rng.choice(SHAPES)}"
    counted = tuple(t.cell for t in scene.things if t.name == name)
    return Turn("presence", f"Is there {article(name)} {name}?", "yes" if counted else "no", counted=counted)


def article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def describe(rng, scene):
    parts = [f"{article(t.name)} {t.name} at the {t.position}" for t in scene.things]
    if scene.sign:
        parts.append(f"a sign that says {scene.sign.text}")
    text = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return Turn("describe", one_of(rng, "Describe the picture.", "What is in this picture?", "What do you see?"), text)


def follow_up(rng, focus: Thing, last_kind: str):
    kinds = [k for k in ("color", "shape", "position", "box") if k != last_kind]
    kind = str(rng.choice(kinds))
    question, answer = {
        "color": (one_of(rng, "What color is it?", "And what color is it?"), focus.color),
        "shape": (one_of(rng, "What shape is it?", "And what shape is it?"), focus.shape),
        "position": (one_of(rng, "Where is it?", "And where is it?"), focus.position),
        "box": ("Give its bounding box.", box_text(focus.box)),
    }[kind]
    return Turn("follow-up box" if kind == "box" else "follow-up", question, answer, focus)


ASKING = {
    "color": ask_color, "shape": ask_shape, "position": ask_position, "count": ask_count, "box": ask_box,
    "word": ask_word, "presence": ask_presence, "describe": describe,
}  # fmt: skip
WEIGHTS = {"color": 1, "shape": 1, "position": 1.2, "count": 5, "box": 2.5, "word": 1.2, "presence": 0.5, "describe": 1.2}


def ask(rng, scene: Scene, kind: str) -> Turn | None:
    """None where this scene has no such question."""
    if not scene.things and kind in ("color", "shape", "position", "box"):
        return None
    return ASKING[kind](rng, scene)


def chat(rng, scene: Scene, turns: int) -> list:
    """Turns about one picture; a third of those that could be are follow-ups."""
    kinds, weights = list(WEIGHTS), np.array(list(WEIGHTS.values()))
    out, asked = [], set()
    while len(out) < turns:
        focus = out[-1].focus if out else None
        if focus and rng.random() < 0.33:
            turn = follow_up(rng, focus, out[-1].kind)
        else:
            turn = ask(rng, scene, str(rng.choice(kinds, p=weights / weights.sum())))
        if turn is None or (turn.question in asked and rng.random() < 0.8):
            turns -= 0.2  # a scene with little in it has few questions
            continue
        asked.add(turn.question)
        out.append(turn)
    return out


# ---------------------------------------------------------------- two pictures


def which_picture(rng, first: Scene, second: Scene) -> Turn | None:
    names = [{t.name for t in s.things} for s in (first, second)]
    one, two = sorted(names[0] - names[1]), sorted(names[1] - names[0])
    if not one and not two:
        return None
    in_first = bool(one) and (not two or rng.random() < 0.5)
    name = str(rng.choice(one if in_first else two))
    question = one_of(rng, f"Which picture has {article(name)} {name}?", f"Which picture shows {article(name)} {name}?")
    focus = next(t for t in (first if in_first else second).things if t.name == name)
    return Turn("which picture", question, "the first" if in_first else "the second", focus, 0 if in_first else 1)


def change(rng, scene: Scene) -> tuple:
    """-> the scene with one thing changed, and what is to be said. The names in the scene are distinct."""
    things = list(scene.things)
    k = int(rng.integers(len(things)))
    thing, size, free = things[k], (scene.width, scene.height), free_cells(scene)
    others = {t.name for t in things}
    kind = str(rng.choice(["gone", "added", "colored", "moved"]))
    if kind == "gone" and len(things) > 1:
        del things[k]
        text = f"the {thing.name} is gone"
    elif kind == "added":
        while (name := (str(rng.choice(SHAPES)), str(rng.choice(COLOR_NAMES)))) and f"{name[1]} {name[0]}" in others:
            pass
        new = random_thing(rng, size, int(rng.choice(free)), *name)
        things.append(new)
        text = f"{article(new.name)} {new.name} was added"
    elif kind == "colored":
        color = str(rng.choice([c for c in COLOR_NAMES if f"{c} {thing.shape}" not in others]))
        painted = random_thing(rng, size, thing.cell, thing.shape, color)
        things[k] = replace(painted, box=thing.box)
        text = f"the {thing.name} is now {color}"
    else:
        cell = int(rng.choice(free))
        things[k] = random_thing(rng, size, cell, thing.shape, thing.color)
        text = f"the {thing.name} moved to the {POSITIONS[cell]}"
    return with_things(scene, things, rng), text


def ask_change(rng, text: str, first: Scene, second: Scene) -> Turn:
    questions = ("What changed?", "What has changed?", "What is different in the second picture?")
    before, after = ({t.cell: t for t in s.things} for s in (first, second))
    new = [t for c, t in after.items() if c not in before or before[c].name != t.name]
    gone = [t for c, t in before.items() if c not in after]
    # To be seen in the second picture also where something is gone: the first one's positions know nothing of the second.
    return Turn("change", one_of(rng, *questions), text, (new or gone)[0], 1)


def pair_chat(rng, first: Scene, second: Scene, changed: str | None, turns: int) -> list:
    """What has changed is asked first: the other questions tell of it."""
    out = [ask_change(rng, changed, first, second)] if changed else []
    for _ in range(turns * 2):
        turn = which_picture(rng, first, second)
        if turn and len(out) < turns and turn.question not in {t.question for t in out}:
            out.append(turn)
    return out
