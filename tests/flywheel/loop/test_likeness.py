"""Claims about likeness: the same page is known again by its text or its picture, another is not."""

from __future__ import annotations

import hashlib

import pytest

from flywheel.loop.likeness import LikePages, SignedPage, signature
from tests.flywheel.loop.prose import JOINED, blank, look, misread, prose

Page = tuple[str, tuple[bytes, bytes]]


def like(books: dict[str, list[Page]]) -> LikePages:
    """Signatures of books' pages; the pages' ids count on from book to book."""
    pages = [(name, signature(text, *seen)) for name, pages in books.items() for text, seen in pages]
    return LikePages.of([SignedPage(name, number, row) for number, (name, row) in enumerate(pages)])


def book(name: str, pages: range, language: str = "bo") -> list[Page]:
    return [(prose(f"{name} {page}", language), look(f"{name} {page}")) for page in pages]


def unseen(pages: list[Page]) -> list[Page]:
    return [(text, blank()) for text, _ in pages]


def hardly_read(pages: list[Page]) -> list[Page]:
    """So few words that only the pictures can be compared."""
    return [(text.replace(JOINED["bo"], "")[:36], seen) for text, seen in pages]


@pytest.mark.parametrize("language", sorted(JOINED))
def test_a_text_is_known_again_with_other_line_breaks_case_and_a_misreading_in_twenty(language: str) -> None:
    text = prose("a", language)
    again = {
        "broken": "\n".join(text[n : n + 30] for n in range(0, len(text), 30)),
        "spaced": text.upper().replace(JOINED[language] or "\0", "  "),
        "misread": misread(text, 0.05),
    }
    for name, said in again.items():
        pages = like({"a": [(text, blank())], "b": [(said, blank())], "c": [(prose("c", language), blank())]})
        assert pages.groups() == {"a": "a", "b": "a", "c": "c"}, name


@pytest.mark.parametrize("language", sorted(JOINED))
def test_pages_of_one_language_are_not_taken_for_one_another(language: str) -> None:
    books = {f"{n:03}": unseen(book(str(n), range(4), language)) for n in range(50)}
    assert like(books).groups() == {name: name for name in books}


def test_half_of_a_book_is_found_inside_another_and_a_book_with_pages_added_or_removed() -> None:
    whole = unseen(book("a", range(20)))
    books = {
        "a": whole,
        "half": whole[10:],
        "more": [*whole, *unseen(book("more", range(5)))],
        "anthology": [*unseen(book("b", range(30))), *whole[:4]],
        "other": unseen(book("c", range(20))),
    }
    found = like(books).groups()
    assert {found[name] for name in ("a", "half", "more", "anthology")} == {"a"}
    assert found["other"] == "other"


@pytest.mark.parametrize("share", [0.3, 0.45, 0.7, 1.5, 2.0])
def test_a_book_set_anew_on_smaller_or_larger_pages_is_found(share: float) -> None:
    text = "་".join(text for text, _ in book("a", range(20)))
    size = round(share * len(text) / 20)
    anew = [(text[start : start + size], blank()) for start in range(size // 3, len(text), size)]
    found = like({"a": unseen(book("a", range(20))), "anew": anew, "b": unseen(book("b", range(20)))})
    assert found.groups() == {"a": "a", "anew": "a", "b": "b"}


def test_a_scan_that_was_misread_is_known_by_its_picture() -> None:
    pages = book("a", range(6))
    scan = [(misread(text, 0.4), look(f"a {n}", noise=0.2, seed=n)) for n, (text, _) in enumerate(pages)]
    found = like({"a": pages, "b": book("b", range(6)), "scan": scan})
    assert found.groups() == {"a": "a", "b": "b", "scan": "a"}


def test_a_page_of_few_words_is_known_by_its_picture_alone() -> None:
    pages = hardly_read(book("a", range(3)))
    found = like(
        {"a": pages, "b": [("ཀ" + text[3:], seen) for text, seen in pages], "c": hardly_read(book("c", range(3)))}
    )
    assert found.groups() == {"a": "a", "b": "a", "c": "c"}


def test_pages_that_only_look_alike_by_chance_are_kept_apart() -> None:
    books = {f"{n:03}": hardly_read(book(str(n), range(10))) for n in range(60)}
    assert like(books).groups() == {name: name for name in books}


def test_titles_numbers_and_blank_pages_say_nothing() -> None:
    few = [("བཀྲ་ཤིས་བདེ་ལེགས།", look("title")), ("", blank()), ("17", look("number"))]
    seen = (b"\xff" * 128, b"\x00" * 100 + b"\xff" * 28)
    found = like({name: few + hardly_read([(prose(name), seen)]) for name in "ab"})
    assert found.groups() == {"a": "a", "b": "b"}
    assert found.like(["a"]) == set()


def test_a_licence_in_many_books_makes_no_copies_of_them_but_its_pages_are_alike() -> None:
    [licence] = unseen(book("licence", range(1)))
    books = {f"{n:02}": [*unseen(book(str(n), range(5))), licence] for n in range(12)}
    found = like(books)
    assert found.groups() == {name: name for name in books}
    assert found.like(["03"]) == {6 * n + 5 for n in range(12) if n != 3}


def test_one_form_of_one_page_is_one_document_however_often_it_is_submitted() -> None:
    books = {f"{n:03}": unseen(book("form", range(1))) for n in range(150)}
    assert set(like(books).groups().values()) == {"000"}


def test_many_copies_of_a_long_book_are_one_group() -> None:
    pages = unseen(book("a", range(10)))
    books = {f"{n:03}": pages[n % 3 :] for n in range(90)}
    assert set(like(books).groups().values()) == {"000"}


def test_documents_are_compared_not_the_pages_of_one() -> None:
    pages = unseen(book("a", range(3)))
    found = like({"a": pages * 2, "b": unseen(book("b", range(3)))})
    assert found.groups() == {"a": "a", "b": "b"}
    assert found.like(["b"]) == set()


def test_signatures_of_other_versions_and_of_nothing_are_left_out() -> None:
    row = signature(prose("a"), *blank())
    rows = zip("abcd", (row, b"\x00" + row[1:], row[:-1], b""), strict=True)
    found = LikePages.of([SignedPage(name, number, row) for number, (name, row) in enumerate(rows)])
    assert found.groups() == {"a": "a"}
    assert LikePages.of(()).groups() == {}


def test_a_signature_is_the_same_wherever_it_is_made() -> None:
    """Should it change with a library, the version of the signatures must."""
    made = signature(prose("a"), *look("a"))
    assert (len(made), hashlib.sha256(made).hexdigest()[:16]) == (773, "ef73672666c53faf")


def test_a_book_of_pages_of_few_letters_is_known_again() -> None:
    pages = [(text[:26], seen) for text, seen in book("cards", range(60))]
    found = like({"a": pages, "b": pages, "c": [(text[:26], seen) for text, seen in book("others", range(60))]})
    assert found.groups() == {"a": "a", "b": "a", "c": "c"}


def test_a_page_of_few_words_that_two_books_share_makes_no_copies() -> None:
    empty = ("This page is left empty on purpose", blank())
    books = {name: [*unseen(book(name, range(9))), empty] for name in "abc"}
    assert like(books).groups() == {name: name for name in books}
