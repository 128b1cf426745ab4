"""The rules for personal data; this file holds shapes, checks and column names that ``personal_data`` looks for.

A rule is (kind, shape, check). Shapes are wide, checks decide: check digits where a number has them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from ipaddress import ip_address


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_email(text: str) -> bool:
    # logo@2x.png is a file.
    return text.rpartition(".")[2].lower() not in {"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "csv", "txt"}


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "." in text or len(text) > 6


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = _digits(text)
    return bool(_CARD_PREFIX.fullmatch(digits)) and len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def _valid_by(module: str) -> Callable[[str], bool]:
    """Return the check of a python-stdnum module, loaded when first needed."""

    def check(text: str) -> bool:
        return bool(importlib.import_module(f"stdnum.{module}").is_valid(text))

    return check


def _is_account(text: str) -> bool:
    return _valid_by("iban")(text)


def _is_phone(text: str) -> bool:
    digits = _digits(text)
    if text.lstrip("( ").startswith(("+", "00")):
        return 8 <= len(digits) <= 15 + 2 * text.startswith("00") and len(set(digits)) > 2
    import phonenumbers

    regions = ("US",) if not digits.startswith("0") else ("GB", "FR", "DE", "IT", "NL", "ES", "IN", "AU", "JP", "BE")
    for region in regions:
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False


def _always(text: str) -> bool:
    return True


_CARD_PREFIX = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|"
    r"35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}|(?:5018|5020|5038|6304|6759|676[1-3])\d{8,15}"
)
_EDGE, _END = r"(?<![\w.])", r"(?![\w]|[.,-]\d)"
_STREET = (
    r"(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Terrace|Court|Ct\.?|Way|Place|Pl\.?|"
    r"Square|Sq\.?|Loop|Parkway|Pkwy\.?|Highway|Hwy\.?|Crescent|Close)"
)


Rule = tuple[str, re.Pattern[str], Callable[[str], bool]]


def _rule(kind: str, pattern: str, is_right: Callable[[str], bool] = _always) -> Rule:
    return kind, re.compile(pattern), is_right


def _national(pattern: str, module: str) -> Rule:
    return _rule("national_id", _EDGE + pattern + _END, _valid_by(module))


# The first rule that takes a stretch of text keeps it.
RULES = (
    _rule("email", r"[\w.!#$%&'*+/=?^`{|}~-]+@(?:[\w-]+\.)+[^\W\d_]{2,}", _is_email),
    _rule("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", _is_account),
    _rule("card", _EDGE + r"\d{4}(?:[ -]?\d{2,6}){2,4}" + _END, _is_card),
    _rule("ip", r"(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d|\.\d)", _is_ip),
    _rule("ip", r"(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?:(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])", _is_ip),
    _national(r"\d{3}-\d{2}-\d{4}", "us.ssn"),
    _rule("national_id", _EDGE + r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]" + _END),
    _national(r"\d{3}\.\d{3}\.\d{3}-\d{2}", "br.cpf"),
    _national(r"\d{8}-?[A-Z]", "es.dni"),
    _national(r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
    _national(r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]", "it.codicefiscale"),
    _national(r"[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", "fr.nir"),
    _national(r"\d{11}", "pl.pesel"),
    _national(r"\d{6}[-+]\d{4}", "se.personnummer"),
    _national(r"\d{6}[-+A]\d{3}[0-9A-Y]", "fi.hetu"),
    _national(r"\d{6}-\d{4}", "dk.cpr"),
    _national(r"\d\d\.\d\d\.\d\d[-.]\d{3}[-.]\d\d", "be.nn"),
    _national(r"\d{3}[ -]\d{3}[ -]\d{3}", "ca.sin"),
    _national(r"\d{3} \d{3} \d{3}", "au.tfn"),
    _national(r"\d{4}[ -]\d{4}[ -]\d{4}", "in_.aadhaar"),
    _national(r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", "in_.pan"),
    _national(r"\d{17}[\dX]", "cn.ric"),
    _national(r"\d{6}-[1-4]\d{6}", "kr.rrn"),
    _national(r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", "mx.curp"),
    _national(r"\d{13}", "za.idnr"),
    _rule(
        "phone", r"(?<![\w.])\+\d{1,3}[\s.-]?(?:\(\d{1,4}\)[\s.-]?)?\d{1,4}(?:[\s.-]?\d{2,8}){1,5}" + _END, _is_phone
    ),
    _rule("phone", r"(?<![\w.+-])00\d{2}[\s.-]\d{1,4}(?:[\s.-]?\d{2,8}){1,4}" + _END, _is_phone),
    _rule("phone", r"(?<![\w.+-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}" + _END, _is_phone),
    _rule("phone", r"(?<![\w.+-])\(?0\d{1,4}\)?(?:[ /-]\d{2,8}){1,4}" + _END, _is_phone),
    _rule("address", r"\bP\.? ?O\.? ?Box \d+"),
    _rule("address", r"(?<![\w.,])\d{1,5}[A-Z]? (?:[A-Z0-9][\w'.]* ){1,4}" + _STREET + r"(?!\w| [a-z])"),
    _rule(
        "address", r"\b[A-ZÄÖÜ][a-zäöüß]+(?:straße|strasse|str\.|weg|allee|gasse|platz|straat|laan|gracht|plein) \d+"
    ),
    _rule(
        "address",
        r"\b\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|allée|chemin|impasse|quai) (?:\w+ ){0,3}[A-ZÉ]\w+",
    ),
    _rule("address", r"\b(?:Calle|Avenida|Paseo|Plaza|Via|Viale|Piazza|Corso|Rua) (?:[\w']+ ){0,3}[A-Z]\w+,? \d+"),
)

# A column that says what it holds: kind, words of its name, shape of most of its values.
HINTS = (
    ("phone", re.compile(r"\b(phone|telephone|tel|mobile|cell|fax)\b"), re.compile(r"\+?[\d\s()./-]{7,22}")),
    (
        "national_id",
        re.compile(
            r"\b(ssn|social security|national id|passport|nino|tax id|cpf|dni|pesel|aadhaar|nhs|"
            r"driver.?s? licen[sc]e)\b"
        ),
        re.compile(r"[A-Z0-9 ./-]{6,22}"),
    ),
    (
        "card",
        re.compile(r"\b(credit ?card|debit ?card|card (no|num|number)|cc (no|num|number)|pan)\b"),
        re.compile(r"(?:\d[ -]?){12,19}"),
    ),
    (
        "iban",
        re.compile(r"\b(iban|bank account|account (no|num|number))\b"),
        re.compile(r"(?:[A-Z]{2}\d\d)?[A-Z0-9 -]{6,34}"),
    ),
    ("ip", re.compile(r"\b(ip|ip address|ip addr)\b"), re.compile(r"[0-9a-fA-F.:]{7,45}")),
    ("address", re.compile(r"\b(address|addr|street)\b"), re.compile(r"(?=.*\d)(?=.*[^\W\d_]{3}).{6,}")),
    (
        "birth_date",
        re.compile(r"\b(dob|date of birth|birth ?date|birthday|birth ?day|born on)\b"),
        re.compile(r"(?=(?:\D*\d){4}).{6,30}"),
    ),
)
