"""The search for personal data, measured on strings that were labelled before its rules were written."""

from __future__ import annotations

import pytest

from autokaggle.skills.dataset.personal_data import find_personal, mask, mask_value, scan_column
from tests.personal_strings import ELSEWHERE, PERSONAL


def kinds(text: str) -> set[str]:
    return {finding.kind for finding in find_personal(text)}


def test_precision_and_recall_on_the_labelled_strings() -> None:
    personal = [(kind, text) for kind, texts in PERSONAL.items() for text in texts]
    other = [text for texts in ELSEWHERE.values() for text in texts]
    missed = [(kind, text) for kind, text in personal if not kinds(text)]
    wrong = [(text, kinds(text)) for text in other if kinds(text)]
    print(
        "missed",
        missed,
        "wrong",
        wrong,
        "kind",
        [(k, t, kinds(t)) for k, t in personal if kinds(t) and k not in kinds(t)],
    )
    found = len(personal) - len(missed)

    assert len(personal) + len(other) >= 300
    assert found / (found + len(wrong)) >= 0.97
    assert found / len(personal) >= 0.9


def test_masking_leaves_the_rest_of_the_text() -> None:
    masked = mask("Ask Jane at jane@example.com or +1 212 555 0142, not before 2024-01-31.")

    assert masked == "Ask Jane at <email> or <phone>, not before 2024-01-31."


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("ssn", ["000-13-1772", "000-88-2908"], "national_id"),
        ("Credit Card", ["4111111732740827", "4111118571851102"], "card"),
        ("iban", ["DE00828314070223685094", "DE00083273611927373692"], "iban"),
        ("phoneNumber", ["555 0131", "555 0181"], "phone"),
        ("birth_date", ["1955-04-23", "1952-04-27"], "birth_date"),
        ("HomeAddress", ["12 Elm", "14 Oak"], "address"),
        ("Name", ["Braund, Mr. Owen Harris", "Heikkinen, Miss. Laina"], "name"),
        ("surname", ["Roe", "Poe"], "name"),
        ("contact", ["a@example.com", "b@example.com"], "email"),
        ("remarks", ["mail a@example.com", "mail b@example.com"], "email"),
    ],
)
def test_a_column_is_judged_by_its_name_and_shape_even_when_check_digits_fail(
    name: str, values: list[str], found: str
) -> None:
    assert scan_column(name, values)[0] == found


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Street", ["Pave", "Grvl"]),
        ("Name", ["airport", "harbour"]),
        ("city_name", ["New York", "San Diego"]),
        ("file_name", ["Some Photo", "Other Photo"]),
        ("Cabin", ["C85", "B96 B98"]),
        ("Ticket", ["A/5 21171", "PC 17599", "113803"]),
        ("date", ["2024-01-31", "2024-02-01"]),
        ("mobile_home", ["yes", "no"]),
        ("flight_id", ["400326", "400327"]),
        ("text", ["Forest fire near La Ronge Sask. Canada", "Just happened a terrible car crash"]),
    ],
)
def test_ordinary_columns_are_left_alone(name: str, values: list[str]) -> None:
    assert scan_column(name, values) == ()


def test_prose_with_a_few_addresses_is_personal_but_a_category_is_not() -> None:
    rows = [f"some words without anything number {n}" for n in range(400)]

    assert scan_column("comment", [*rows, *(f"write to p{n}@example.com" for n in range(4))], True) == ("email",)
    assert scan_column("comment", [*rows, "write to p@example.com"], True) == ()


def test_a_value_without_visible_pieces_is_masked_whole() -> None:
    assert mask_value("Jane Roe", ("name",)) == "<name>"
    assert mask_value("000-65-7888", ("national_id", "phone")) == "<national_id>"
    assert mask_value("mail jane@example.com today", ("email",)) == "mail <email> today"


def test_of_long_documents_beginning_and_end_are_looked_at() -> None:
    long = "some words about the harvest " * 2000
    assert scan_column("letter", [f"{long}yours, ann@example.org"] * 5, is_prose=True) == ("email",)
    assert scan_column("letter", [f"To bob@example.org: {long}"] * 5, is_prose=True) == ("email",)
    # Reading all of it would take minutes where a cell holds a book.
    assert scan_column("letter", [f"{long}ann@example.org {long}"] * 5, is_prose=True) == ()
