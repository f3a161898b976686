"""Writes the decoder of one message in one version as straight-line Python. Pure.

In the generated code `data` is bytes (a memoryview where records are kept as views), `size` its length, `at` the
offset. A run of fixed-size fields, with the length or count that follows it, is read by one struct. Busy
messages have every primitive inline; others call core/wire/primitives.py, which makes them much shorter.
"""

from message_schema import FIXED, Field, Message, Struct, absent, present, smallest_size, tagged
from message_source import Source, helper

STORE = "{} = {}"


def decoder_body(message: Message, version: int, formats: set[str]) -> str:
    writer = _DecoderWriter(message, version, Source(formats))
    return writer.write()


class _DecoderWriter:
    def __init__(self, message: Message, version: int, source: Source) -> None:
        self.message = message
        self.version = version
        self.flexible = version in message.flexible
        self.source = source
        self.views = message.has_records
        self.structs = [message.root, *message.structs]

    def write(self) -> str:
        out = self.source
        if self.views:
            out.add("data = memoryview(data)")
        else:
            out.add("data = data if type(data) is bytes else bytes(data)")
        if self.message.busy or any(tagged(struct, self.version) for struct in self.structs):
            out.add("size = len(data)")
        self.struct(self.message.root, 0)
        self.flush()
        out.add("return m0, at")
        return out.text

    def flush(self) -> None:
        """Read the run that is pending."""
        out = self.source
        if not out.run:
            return
        targets, name, size = out.take_run()
        if name == "c":
            out.add(f"{targets[0]} = data[at]")
        elif len(targets) == 1:
            out.formats.add(f"unpack_{name}")
            out.add(f"({targets[0]},) = unpack_{name}(data, at)")
        else:
            out.formats.add(f"unpack_{name}")
            out.add(f"{', '.join(targets)} = unpack_{name}(data, at)")
        out.add(f"at += {size}")

    def read(self, target: str, code: str) -> None:
        self.source.run.append((target, code))

    def struct(self, struct: Struct, depth: int) -> None:
        """Make m<depth> and read its fields."""
        out = self.source
        me = f"m{depth}"
        if out.run:
            self.flush()
        out.add(f"{me} = new({struct.alias})")
        for field in absent(struct, self.version):
            out.add(f"{me}.{field.name} = {field.default}")
        for field in present(struct, self.version):
            self.field(field, me, depth)
        if self.flexible:
            self.tags(struct, me, depth)

    def field(self, field: Field, me: str, depth: int) -> None:
        target = f"{me}.{field.name}"
        flexible = field.is_flexible(self.version, self.flexible)
        nullable = self.version in field.nullable
        if field.array:
            self.array(field, target, flexible, nullable, depth)
        elif field.struct and nullable:
            self.nullable_struct(field, target, depth)
        elif field.struct:
            self.struct(field.struct, depth + 1)
            self.flush()
            self.source.add(f"{target} = m{depth + 1}")
        elif field.type in FIXED:
            self.read(target, FIXED[field.type][0])
        else:
            self.text(field.type, field.name, target, flexible, nullable)

    def nullable_struct(self, field: Field, target: str, depth: int) -> None:
        out = self.source
        assert field.struct is not None
        in_tag = self.version in field.tagged  # There Kafka says null by 0 in place of -1.
        self.read("n", "b")
        self.flush()
        with out.block("if n <= 0:" if in_tag else "if n < 0:"):
            out.add(f"{target} = None")
        with out.block("else:"):
            self.struct(field.struct, depth + 1)
            self.flush()
            out.add(f"{target} = m{depth + 1}")

    def length(self, kind: str, flexible: bool) -> None:
        """Read a length or count into n; when flexible it is one more than the length, and 0 for null."""
        out = self.source
        if not flexible:
            self.read("n", "h" if kind == "string" else "i")
            self.flush()
            return
        self.read("n", "B")
        self.flush()
        name = "read_long_string_length" if kind == "string" else "read_long_uvarint"
        with out.block("if n > 127:"):
            out.add(f"n, at = {name}(data, at, n)")

    def text(self, kind: str, name: str, target: str, flexible: bool, nullable: bool, template: str = STORE) -> None:
        """Read a string, bytes or records. `template` says how the value is stored."""
        out = self.source
        if not self.message.busy:
            call = f'{helper("read", kind, flexible, nullable)}(data, at, "{name}")'
            self.flush()
            if template == STORE:
                out.add(f"{target}, at = {call}")
            else:
                out.add(f"text, at = {call}")
                out.add(template.format(target, "text"))
            return
        self.length(kind, flexible)
        if nullable:
            with out.block("if n == 0:" if flexible else "if n < 0:"):
                out.add(template.format(target, "None"))
            with out.block("else:"):
                self.text_value(kind, name, target, flexible, template)
        else:
            self.text_value(kind, name, target, flexible, template)

    def text_value(self, kind: str, name: str, target: str, flexible: bool, template: str) -> None:
        out = self.source
        out.add("stop = at + n - 1" if flexible else "stop = at + n")
        with out.block("if not at <= stop <= size:"):
            out.add(f'raise bad_length("{name}", {"n - 1" if flexible else "n"})')
        piece = "data[at:stop]"
        if kind == "string":
            piece = f"{piece}.tobytes().decode()" if self.views else f"{piece}.decode()"
        elif kind == "bytes" and self.views:
            piece = f"bytes({piece})"
        out.add(template.format(target, piece))
        out.add("at = stop")

    def array(self, field: Field, target: str, flexible: bool, nullable: bool, depth: int) -> None:
        out = self.source
        smallest = self.smallest(field, flexible)
        if self.message.busy:
            self.length("array", flexible)
            null = "n == 0" if flexible else "n < 0"
        else:
            self.flush()
            name = helper("read", "count", flexible, nullable)
            out.add(f'n, at = {name}(data, at, {smallest}, "{field.name}")')
            null = "n < 0"
        if nullable:
            with out.block(f"if {null}:"):
                out.add(f"{target} = None")
            with out.block("else:"):
                self.array_value(field, target, flexible, smallest, depth)
        else:
            self.array_value(field, target, flexible, smallest, depth)

    def smallest(self, field: Field, flexible: bool) -> int:
        """The fewest bytes of an element of an array."""
        if field.struct:
            smallest = smallest_size(field.struct, self.version, self.flexible)
        elif field.type in FIXED:
            smallest = FIXED[field.type][1]
        else:
            smallest = 1 if flexible else {"string": 2, "bytes": 4}[field.type]
        if smallest == 0:
            raise ValueError(f"{self.message.name}.{field.name}: elements of no size can not be bounded")
        return smallest

    def array_value(self, field: Field, target: str, flexible: bool, smallest: int, depth: int) -> None:
        out = self.source
        if self.message.busy:
            if flexible:
                out.add("n -= 1")
            scaled = "n" if smallest == 1 else f"n * {smallest}"
            with out.block(f"if not 0 <= {scaled} <= size - at:"):
                out.add(f'raise bad_length("{field.name}", n)')
        if field.type in FIXED:
            self.fixed_array(field.type, target)
            return
        add = f"add{depth + 1}"
        out.add(f"{target} = []")
        out.add(f"{add} = {target}.append")
        with out.block("for _ in range(n):"):
            if field.struct:
                self.struct(field.struct, depth + 1)
                self.flush()
                out.add(f"{add}(m{depth + 1})")
            else:
                self.text(field.type, field.name, add, flexible, False, "{}({})")

    def fixed_array(self, kind: str, target: str) -> None:
        out = self.source
        code, size = FIXED[kind]
        if kind == "uuid":
            out.add(f"{target} = [bytes(data[i : i + 16]) for i in range(at, at + n * 16, 16)]")
        elif kind == "int32":
            out.add(f"{target} = [*(UNPACK_INTS[n] if n < FEW else unpack_ints(n))(data, at)]")
        else:
            out.add(f'{target} = list(unpack_from(f">{{n}}{code}", data, at))')
        out.add(f"at += n * {size}" if size > 1 else "at += n")

    def tags(self, struct: Struct, me: str, depth: int) -> None:
        out = self.source
        fields = tagged(struct, self.version)
        if not fields and not self.message.busy:
            self.flush()
            out.add("at = read_no_tags(data, at)")
            return
        self.read("n", "B")
        self.flush()
        for field in fields:
            out.add(f"{me}.{field.name} = {field.default}")
        with out.block("if n:"):
            if not fields:
                out.add("at = skip_tags(data, at, n, size)")
                return
            with out.block("if n > 127:"):
                out.add("n, at = read_long_uvarint(data, at, n)")
            with out.block("for _ in range(n):"):
                self.tag_values(fields, me, depth)

    def tag_values(self, fields: list[Field], me: str, depth: int) -> None:
        out = self.source
        end = f"end{depth}"
        out.add("tag, at = read_uvarint(data, at)")
        out.add("n, at = read_uvarint(data, at)")
        out.add(f"{end} = at + n")
        with out.block(f"if {end} > size:"):
            out.add('raise bad_length("tagged field", n)')
        for position, field in enumerate(fields):
            with out.block(f"{'el' if position else ''}if tag == {field.tag}:"):
                self.field(field, me, depth)
                self.flush()
                with out.block(f"if at != {end}:"):
                    out.add(f'raise bad_length("{field.name}", n)')
        with out.block("else:"):
            out.add(f"at = {end}")
