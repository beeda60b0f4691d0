"""E-mail addresses as identities: one form for each mailbox, and nothing that only looks like another.

Case, Unicode form, surrounding blanks, a final dot and the spelling of an international domain make
no second account. Invisible characters, scripts mixed within a word, and words in foreign letters
that read like Latin ones are refused with a sentence.
"""

from __future__ import annotations

import re
import unicodedata

import email_validator
from email_validator import EmailNotValidError, validate_email

from mugrade.server.errors import invalid

email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()  # a course on one machine has `staff@localhost`
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10))))
)
"""Characters without a picture that Unicode calls letters or marks."""
_WRITTEN_TOGETHER = (
    {"LATIN", "HIRAGANA", "KATAKANA", "CJK"},
    {"LATIN", "HANGUL", "CJK"},
    {"LATIN", "BOPOMOFO", "CJK"},
)
"""Scripts that one word may mix (UTS 39, highly restrictive)."""
_LIKE_LATIN = frozenset("аеорсухіјѕһԁԛԝ" + "αινορυκ" + "օհսց")
"""Cyrillic, Greek and Armenian letters that a reader takes for Latin ones."""
_FALSE_LATIN = frozenset("\u0131\u0251\u0261\u0269\u0237\u01c0\u0138")
"""Latin letters that are taken for i, a, g, i, j, l and k."""


def first_invisible(text: str) -> str | None:
    """The first character that nobody can see, a blank apart."""
    for character in text:
        if character in _INVISIBLE or unicodedata.category(character) in ("Cf", "Cc", "Co", "Cn"):
            return character
    return None


def normal(text: str) -> str:
    """The address in the one form in which it is stored and looked up.

    Raises:
        Refusal: it is no address, or it can be mistaken for another one.
    """
    given = text.strip()
    if (hidden := first_invisible(given)) is not None:
        name = unicodedata.name(hidden, "a control character")
        raise invalid(
            f"The e-mail address holds a character that cannot be seen (U+{ord(hidden):04X} {name}); "
            "type it by hand."
        )
    folded = unicodedata.normalize("NFKC", given).rstrip(".")
    try:
        found = validate_email(folded, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise invalid(
            f"{given!r:.80} is no e-mail address; expected name@host ({reason})."
        ) from None
    local = unicodedata.normalize("NFKC", found.local_part.lower())
    address = f"{local}@{found.domain.lower()}"
    _refuse_look_alikes(given, address)
    return address


def looked_up(text: str) -> set[str]:
    """The forms in which an account may be stored; empty-handed for what is no address."""
    forms = {text.strip().lower()}
    try:
        forms.add(normal(text))
    except Exception as error:  # whoever signs in hears that address and password do not fit
        if not hasattr(error, "status_code"):
            raise
    return forms


def _refuse_look_alikes(given: str, address: str) -> None:
    for word in re.split(r"[^\w]+|_|\d+", address):
        letters = [c for c in word if c.isalpha()]
        scripts = {unicodedata.name(c, "?").split()[0] for c in letters}
        mixed = len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER)
        false = scripts != {"LATIN"} and letters and set(letters) <= _LIKE_LATIN
        if mixed or false or set(letters) & _FALSE_LATIN:
            raise invalid(
                f"{given!r:.80} is written with letters that look like others ({word!r:.40}); "
                "write the address with the letters of one alphabet."
            )
