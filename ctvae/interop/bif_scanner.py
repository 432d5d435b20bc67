"""A cursor over BIF text: names, numbers and marks, each with its line."""

from __future__ import annotations

import re
from typing import NamedTuple

from ctvae.errors import FormatError

__all__ = ["Scanner", "Word"]

BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
ESCAPE = re.compile(r'\\(["\\])')
KEYWORD = re.compile(r"[A-Za-z_]+")
PLAIN = re.compile(r"(?:(?!//|/\*)[^\s,;{}|\[\]])+")
# A name in parentheses may hold parentheses of its own, as do(a).
IN_PARENTHESES = re.compile(r"(?:\([^()\n]*\)|(?!//|/\*)[^\s,;{}|)(]|\()+")
HARD_STOPS = ";{}"


class Word(NamedTuple):
    """A name or number as written.

    Attributes:
        text: Its text, without quotes.
        at: Where it begins in the file's text.
    """

    text: str
    at: int


class Scanner:
    """A cursor over BIF text.

    Attributes:
        at: The position in the text.

    Args:
        text: The whole text.
        source: What to call it in errors.
    """

    def __init__(self, text: str, source: str) -> None:
        self._text, self._source, self.at = text, source, 0

    def failure(self, message: str, at: int | None = None) -> FormatError:
        """Makes the error for a place in the text.

        Args:
            message: What was got and expected.
            at: The place; the cursor's where ``None``.

        Returns:
            An error that names the line.
        """
        line = self._text.count("\n", 0, self.at if at is None else at) + 1
        return FormatError(f"{self._source}, line {line}: {message}")

    def unexpected(self, expected: str, at: int) -> FormatError:
        """Makes the error for something else than what may stand at a place.

        Args:
            expected: What may stand there.
            at: The place.

        Returns:
            An error that names the line and what stands there.
        """
        got = self._text[at : at + 24].split("\n", 1)[0].rstrip()
        return self.failure(f"expected {expected}, got {got!r}", at)

    def is_at_end(self) -> bool:
        """Goes over blanks and comments.

        Returns:
            Whether nothing follows.
        """
        blank = BLANK.match(self._text, self.at)
        if blank is not None:
            self.at = blank.end()
        return self.at >= len(self._text)

    def next_mark(self, expected: str) -> str:
        """Looks at the next character that is not blank.

        Args:
            expected: What should follow, for the error at the end of the text.

        Returns:
            The character.

        Raises:
            FormatError: When the text ends here.
        """
        if self.is_at_end():
            msg = f"the text ends where {expected} was expected; is the file cut off?"
            raise self.failure(msg)
        return self._text[self.at]

    def take(self, mark: str) -> None:
        """Goes over a mark.

        Args:
            mark: One character.

        Raises:
            FormatError: When something else stands here.
        """
        got = self.next_mark(repr(mark))
        if got != mark:
            raise self.failure(f"expected {mark!r}, got {got!r}")
        self.at += 1

    def take_if(self, mark: str) -> bool:
        """Goes over a mark if it is there.

        Args:
            mark: One character.

        Returns:
            Whether it was.
        """
        found = not self.is_at_end() and self._text[self.at] == mark
        self.at += found
        return found

    def keyword(self, expected: str) -> str:
        """Reads a keyword.

        Args:
            expected: The keywords that may stand here, for the error.

        Returns:
            The letters found; empty where none are.

        Raises:
            FormatError: When the text ends here.
        """
        self.next_mark(expected)
        found = KEYWORD.match(self._text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def groups(self, close: str) -> list[list[Word]]:
        """Reads names or numbers up to a closing mark, which it leaves.

        Args:
            close: The marks that may end the list, one character each.

        Returns:
            The words between commas; an empty place between two commas is left out.

        Raises:
            FormatError: When the text ends first, or a quote does not.
        """
        expected = " or ".join(map(repr, close))
        found: list[list[Word]] = [[]]
        while (mark := self.next_mark(expected)) not in close:
            if mark in HARD_STOPS:
                raise self.failure(f"expected {expected}, got {mark!r}")
            if mark == ",":
                self.at += 1
                found.append([])
            else:
                found[-1].append(self._word(close))
        return [group for group in found if group]

    def skip_statement(self) -> str:
        """Goes over the rest of a statement and its semicolon.

        Returns:
            The words of the statement, with single blanks.
        """
        groups = self.groups(";")
        self.take(";")
        return ", ".join(" ".join(word.text for word in group) for group in groups)

    def _word(self, close: str) -> Word:
        start = self.at
        if self._text[start] == '"':
            quoted = QUOTED.match(self._text, start)
            if quoted is None:
                raise self.failure('a name that begins with " here does not end with one')
            self.at = quoted.end()
            return Word(ESCAPE.sub(r"\1", quoted[1]), start)
        plain = (IN_PARENTHESES if ")" in close else PLAIN).match(self._text, start)
        if plain is None:
            mark = self._text[start]
            expected = " or ".join(map(repr, close))
            raise self.failure(f"expected a name, a number or {expected}, got {mark!r}")
        self.at = plain.end()
        return Word(plain[0], start)
