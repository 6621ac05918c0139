"""A JSON reader as strict as RFC 8259 allows, for the reference model.

Python's own reader takes NaN, lone surrogates and any depth, and turns numbers into floats, so the model has its own. It
validates the whole document and returns the top-level members only; numbers stay lexemes, containers are not built.
"""

import re

DEPTH_MAX = 1024


class Refused(Exception):
    """The document is refused; `reason` is the dead-letter reason."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class Number(str):
    """The lexeme of a JSON number, as it stood in the document."""

    @property
    def is_integer(self):
        return INTEGER.fullmatch(self) is not None


class Container:
    """An object or array below the top level."""

    def __repr__(self):
        return "Container"


CONTAINER = Container()
SPACE = re.compile(r"[ \t\n\r]*")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
UNICODE_ESCAPE = re.compile(r"[0-9a-fA-F]{4}")
LITERALS = {"true": True, "false": False, "null": None}
LITERAL = re.compile(r"true|false|null")
SHORT_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def read_object(data):
    """Top-level members of the one object in `data` (bytes): name -> str, Number, bool, None or CONTAINER.

    Members that occur twice: the last one wins. Raises Refused with bad_utf8, bad_json or not_object; a document that is
    valid JSON but no object is `not_object`, one that is not valid is never that.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("bad_utf8") from None
    return Reader(text).document()


class Reader:
    def __init__(self, text):
        self.text = text
        self.at = 0

    def document(self):
        members = {}
        self.space()
        is_object = self.text.startswith("{", self.at)
        self.value(members if is_object else None)
        self.space()
        if self.at != len(self.text):
            self.refuse()
        if not is_object:
            raise Refused("not_object")
        return members

    def refuse(self):
        raise Refused("bad_json")

    def space(self):
        self.at = SPACE.match(self.text, self.at).end()

    def take(self, character):
        if not self.text.startswith(character, self.at):
            return False
        self.at += 1
        return True

    def value(self, members):
        """Walk one value of any depth without recursion; `members` collects those of the outermost object."""
        open_brackets = []
        name = None
        while True:
            # Here a value is due.
            self.space()
            if self.text.startswith(("{", "["), self.at):
                bracket = self.text[self.at]
                self.at += 1
                open_brackets.append(bracket)
                if len(open_brackets) > DEPTH_MAX:
                    self.refuse()
                self.space()
                if not self.take("}" if bracket == "{" else "]"):
                    if bracket == "{":
                        inner = self.member_name()
                        name = inner if len(open_brackets) == 1 else name
                    continue
                open_brackets.pop()
                result = CONTAINER
            else:
                result = self.scalar()
            # Here a value has ended: close brackets until another value is due.
            while True:
                if not open_brackets:
                    return
                if len(open_brackets) == 1 and members is not None and name is not None:
                    members[name] = result
                self.space()
                if self.take(","):
                    if open_brackets[-1] == "{":
                        self.space()
                        inner = self.member_name()
                        name = inner if len(open_brackets) == 1 else name
                    break
                if not self.take("}" if open_brackets[-1] == "{" else "]"):
                    self.refuse()
                open_brackets.pop()
                result = CONTAINER

    def member_name(self):
        name = self.string()
        self.space()
        if not self.take(":"):
            self.refuse()
        return name

    def scalar(self):
        if self.text.startswith('"', self.at):
            return self.string()
        found = LITERAL.match(self.text, self.at)
        if found:
            self.at = found.end()
            return LITERALS[found.group()]
        found = NUMBER.match(self.text, self.at)
        if not found:
            self.refuse()
        self.at = found.end()
        return Number(found.group())

    def string(self):
        if not self.take('"'):
            self.refuse()
        parts = []
        while True:
            found = PLAIN.match(self.text, self.at)
            parts.append(found.group())
            self.at = found.end()
            if self.take('"'):
                return "".join(parts)
            if not self.take("\\"):
                self.refuse()  # the end of the document or a bare control character
            parts.append(self.escape())

    def escape(self):
        letter = self.text[self.at:self.at + 1]
        self.at += 1
        if letter in SHORT_ESCAPES and letter:
            return SHORT_ESCAPES[letter]
        if letter != "u":
            self.refuse()
        first = self.unit()
        if 0xDC00 <= first <= 0xDFFF:
            self.refuse()
        if not 0xD800 <= first <= 0xDBFF:
            return chr(first)
        if not (self.take("\\") and self.take("u")):
            self.refuse()
        second = self.unit()
        if not 0xDC00 <= second <= 0xDFFF:
            self.refuse()
        return chr(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))

    def unit(self):
        found = UNICODE_ESCAPE.match(self.text, self.at)
        if not found:
            self.refuse()
        self.at = found.end()
        return int(found.group(), 16)
