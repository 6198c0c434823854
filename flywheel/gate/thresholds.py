"""Thresholds of the gate's checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares are 0..1. Areas are in square points."""

    blank_ink: float = 0.0002  # a page with less ink shows nothing
    speck_per_character: float = 2.0  # unless each character of its text has this much
    garbage_share: float = 0.01
    garbage_count: int = 3
    odd_share: float = 0.1  # of a few characters, those beyond the first that are garbage
    bare_share: float = 0.1  # characters that are hidden, or on lines without any ink
    down_share: float = 0.5  # characters on lines that run down the page
    down_count: int = 4
    bare_count: int = 8
    picture_cover: float = 0.05  # a hidden layer was read off an image that covers this much of the page
    turned_share: float = 0.1  # characters upside down or mirrored
    turned_count: int = 3
    sloping_share: float = 0.03  # characters off their line's baseline; Nastaliq has a quarter, other hands none
    sloping_count: int = 3
    ink_per_character: float = 0.35  # a 3-point letter covers about one
    expected_share: float = 0.5  # letters in a script of the declared language
    few_letters: int = 8  # fewer are a page number ("xii") or an initial, whatever the language,
    few_ink: float = 100.0  # where the page shows no more ink than this for each
    strange_share: float = 0.1  # words of letters and signs that no language sets together
    strange_count: int = 3
    mistaken_share: float = 0.01  # words that another code page puts right
    capitals_share: float = 0.25  # words with a capital after a small letter
    capitals_count: int = 6
    foreign_share: float = 0.01  # words that mix scripts
    foreign_count: int = 3
    wrong_share: float = 0.005  # impossible letter combinations
    wrong_count: int = 3
    image_cover: float = 0.7  # from here on a page is its image
    text_ink: float = 0.3  # least share of ink inside text lines on such a page
    drawn_ink: float = 0.6  # ink outside text and images: text drawn as curves, or a drawing
    drawn_area: float = 0.02  # and that much of the page
    low_confidence: float = 0.5  # a reading below is rejected
    fair_confidence: float = 0.75  # and below this a person should look
    line_confidence: float = 0.5  # a line below is unsure, whatever the mean;
    unsure_share: float = 0.1  # of a reading's characters on such lines: a person should look
    unread_share: float = 0.4  # of the ink that is like letters, without text; a reading with more is rejected
    doubted_share: float = 0.3  # and with more than this a person should look
    unread_ink: float = 100.0  # and that many square points of it
    picture_share: float = 0.5  # of the ink that is larger than letters: the page is a picture
    picture_text: float = 0.35  # unless its text takes this much of the picture's area,
    captioned_text: float = 0.1  # or at least this much where there are enough
    caption_characters: int = 100  # characters for more than a caption
    loop_characters: int = 48  # a text that repeats itself for so long is a loop
    loop_times: int = 5
    same_lines: int = 6  # one line this often in a row, or one block this often in the same place
    notation_characters: int = 200  # cells and formulas repeat themselves: a loop there is longer
    notation_times: int = 20
    long_line: int = 200  # a line of so many characters
    long_times: int = 4  # is a loop when it comes this often on a page
    tail_characters: int = 24  # in an answer that was cut off, what it repeats at its end
    tail_times: int = 3
    broken_share: float = 0.5  # blocks of markup that are not sound; a reading with more is rejected
    flawed_share: float = 0.1  # and with more than this a person should look
    outside_share: float = 0.1  # regions whose box leaves the page; likewise, and any at all is looked at
