"""English and Chinese for the sample corpus, from two small grammars of the project's own words.

Both are seeded like `Tibetan` and share its shape: `title`, `paragraph`, `number`; and
for breaking lines, `english_pieces` and `chinese_pieces`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

COMMA = "\uff0c"  # the full-width one, escaped because editors and eyes take it for ","
Pieces = Callable[[str], list[str]]  # where a text may be broken into lines


@dataclass(frozen=True, slots=True)
class Grammar:
    """A sentence is a template filled from these lists, then closed by `stop`."""

    people: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    actions: tuple[str, ...]
    manners: tuple[str, ...]
    times: tuple[str, ...]
    templates: tuple[str, ...]
    titles: tuple[str, ...]
    stop: str
    gap: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


ENGLISH = Grammar(
    people=_words(
        "the binder, the older clerk, a visiting reader, the night porter, the surveyor, her neighbour, "
        "the map maker, two apprentices, the ferry keeper, the weaver, a patient scribe, the archivist"
    ),
    things=_words(
        "the loose folios, a bundle of letters, the copper seal, an unfinished index, the tide tables, "
        "a worn ledger, seven glass plates, the spare keys, the flood records, a drawer of labels, "
        "the wooden blocks, a reel of thread"
    ),
    places=_words(
        "in the long room, beside the mill, under the north stairs, at the harbour office, on the upper shelf, "
        "near the kiln, across the courtyard, behind the press"
    ),
    actions=_words(
        "counted, wrapped, repaired, carried away, copied out, measured twice, set aside, returned, "
        "described, dried, numbered, weighed"
    ),
    manners=_words(
        "without haste, by lamplight, with great care, once more, as agreed, in silence, before anyone asked, "
        "despite the rain"
    ),
    times=_words(
        "that winter, on the third morning, after the market, in the following year, towards evening, "
        "when the river fell, every second week"
    ),
    templates=(
        "{time}, {person} {action} {thing} {place}",
        "{person} {action} {thing} {manner}",
        "{time}, {person} and {person2} {action} {thing}, {manner}",
        "{person} {action} {thing} {place}, and {person2} {action2} the other {number}",
        "{place}, {person} {action} {number} pages {manner}",
    ),
    titles=(
        "Notes from the long room",
        "An account of the ledgers",
        "What the river left",
        "The binder and the seal",
    ),
    stop=".",
    gap=" ",
)

CHINESE = Grammar(
    people=_words("年轻的木匠,守夜的老人,两位学生,河边的船夫,邻家的孩子,新来的抄写员,山下的农夫,远方的客人"),
    things=_words("几页旧纸,一只铜铃,那本厚账册,刚收的谷子,三块石板,没有写完的信,一把木尺,窗前的花盆,七卷地图"),
    places=_words("在小桥旁边,在图书室里,在北边的楼梯下,在渡口,在院子中间,在高高的架子上"),
    actions=_words("数了一遍,仔细包好,慢慢修补,搬到屋里,抄写下来,量了两次,放在一边,送了回去"),
    manners=_words("一句话也没有说,动作很轻,直到灯火熄灭,心里十分高兴,没有人觉得奇怪"),
    times=_words("那年冬天,第三天早晨,集市散了以后,天快黑的时候,河水退去之后,每隔两个星期"),
    templates=(
        "{time},{person}{place}把{thing}{action}",
        "{person}把{thing}{action},{manner}",
        "{time},{person}和{person2}一起把{thing}{action},{manner}",
        "{person}{place}看见了{thing},又数出{number}页",
    ),
    titles=("长屋笔记", "河水留下的东西", "木匠与铜铃"),
    stop="。",
    gap="",
)


class Phrases:
    """Writer of one language from its grammar, seeded."""

    def __init__(self, grammar: Grammar, seed: int, stream: str) -> None:
        self._grammar = grammar
        self._rng = random.Random(f"{grammar.titles[0]} {seed} {stream}")

    def number(self, value: int) -> str:
        return str(value)

    def title(self) -> str:
        return self._rng.choice(self._grammar.titles)

    def sentence(self) -> str:
        grammar, rng = self._grammar, self._rng
        person, person2 = rng.sample(grammar.people, 2)
        action, action2 = rng.sample(grammar.actions, 2)
        text = rng.choice(grammar.templates).format(
            person=person,
            person2=person2,
            action=action,
            action2=action2,
            thing=rng.choice(grammar.things),
            place=rng.choice(grammar.places),
            manner=rng.choice(grammar.manners),
            time=rng.choice(grammar.times),
            number=rng.randint(11, 480),
        )
        text = text if grammar.gap else text.replace(",", COMMA)
        return text[0].upper() + text[1:] + grammar.stop

    def paragraph(self, sentences: int) -> str:
        return self._grammar.gap.join(self.sentence() for _ in range(sentences))


def english_pieces(text: str) -> list[str]:
    """Words with the space that follows them."""
    return re.findall(r"\S+\s*", text)


def chinese_pieces(text: str) -> list[str]:
    """Characters; a number stays whole, and a comma or full stop never starts a line."""
    return re.findall(rf"(?:\d+|[^\d{COMMA}。])[{COMMA}。]?", text)
