"""Writes the encoder of one message in one version as straight-line Python. Pure.

In the generated code `out` is the bytearray being filled and `parts` the buffers that are complete; record batches go
into `parts` as they are. A run of fixed-size fields, with the length or count after it, is written by one struct.
"""

from message_schema import FIXED, Field, Message, Struct, absent, present, tagged
from message_source import Source, helper


def encoder_body(message: Message, version: int, formats: set[str]) -> str:
    return _EncoderWriter(message, version, Source(formats)).write()


class _EncoderWriter:
    def __init__(self, message: Message, version: int, source: Source) -> None:
        self.message = message
        self.version = version
        self.flexible = version in message.flexible
        self.source = source
        self.out = "out"

    def write(self) -> str:
        out = self.source
        if self.message.has_records:
            out.add("parts: list[Buffer] = []")
        out.add("out = bytearray()")
        self.struct(self.message.root, "m0", 0)
        self.flush()
        if self.message.has_records:
            with out.block("if out:"):
                out.add("parts.append(out)")
            out.add("return parts")
        else:
            out.add("return [out]")
        return out.text

    def flush(self) -> None:
        """Write the run that is pending."""
        out = self.source
        if not out.run:
            return
        values, name, _ = out.take_run()
        arguments = [value for value in values if value]
        if not arguments:
            out.add(f'{self.out} += b"{chr(92)}0"' if len(name) == 1 else f"{self.out} += bytes({len(name)})")
            return
        out.formats.add(f"pack_{name}")
        out.add(f"{self.out} += pack_{name}({', '.join(arguments)})")

    def put(self, value: str, code: str) -> None:
        self.source.run.append((value, code))

    def struct(self, struct: Struct, me: str, depth: int) -> None:
        out = self.source
        for field in absent(struct, self.version):
            if not field.ignorable:
                with out.block(f"if {differs(field, f'{me}.{field.name}')}:"):
                    out.add(f'raise not_in_version("{field.name}", {me}.{field.name})')
        for field in present(struct, self.version):
            self.field(field, f"{me}.{field.name}", depth)
        if self.flexible:
            self.tags(struct, me, depth)

    def field(self, field: Field, value: str, depth: int) -> None:
        flexible = field.is_flexible(self.version, self.flexible)
        nullable = self.version in field.nullable
        out = self.source
        if field.array:
            self.array(field, value, flexible, nullable, depth)
        elif field.struct and nullable:
            self.nullable_struct(field, value, depth)
        elif field.struct:
            self.flush()
            out.add(f"m{depth + 1} = {value}")
            self.struct(field.struct, f"m{depth + 1}", depth + 1)
        elif field.type == "uuid":
            with out.block(f"if len({value}) != 16:"):
                out.add(f'raise bad_uuid("{field.name}", {value})')
            self.put(value, "16s")
        elif field.type in FIXED:
            self.put(value, FIXED[field.type][0])
        elif field.type == "records":
            self.records(value, flexible, nullable)
        else:
            self.text(field.type, value, flexible, nullable)

    def nullable_struct(self, field: Field, value: str, depth: int) -> None:
        out = self.source
        assert field.struct is not None
        self.flush()
        out.add(f"m{depth + 1} = {value}")
        with out.block(f"if m{depth + 1} is None:"):
            in_tag = self.version in field.tagged  # There Kafka says null by 0 in place of -1.
            out.add(f'{self.out} += b"{chr(92)}0"' if in_tag else f'{self.out} += b"{chr(92)}xff"')
        with out.block("else:"):
            self.put("1", "b")
            self.struct(field.struct, f"m{depth + 1}", depth + 1)
            self.flush()

    def text(self, kind: str, value: str, flexible: bool, nullable: bool) -> None:
        out = self.source
        if not self.message.busy:
            self.flush()
            out.add(f"{helper('put', kind, flexible, nullable)}({self.out}, {value})")
            return
        code = "h" if kind == "string" else "i"
        uvarint = "string_uvarint" if kind == "string" else "uvarint"
        encoded = f"{value}.encode()" if kind == "string" else value
        if not nullable and flexible:
            self.flush()
            out.add(f"text = {encoded}")
            out.add("n = len(text) + 1")
            out.add(f"{self.out} += UVARINTS[n] if n < 128 else {uvarint}(n)")
            out.add(f"{self.out} += text")
        elif not nullable:
            out.add(f"text = {encoded}")
            self.put("len(text)", code)
            self.flush()
            out.add(f"{self.out} += text")
        elif flexible:
            self.flush()
            with out.block(f"if {value} is None:"):
                out.add(f'{self.out} += b"{chr(92)}0"')
            with out.block("else:"):
                self.text(kind, value, flexible, False)
        else:
            out.add(f'text = b"" if {value} is None else {encoded}')
            self.put(f"-1 if {value} is None else len(text)", code)
            self.flush()
            out.add(f"{self.out} += text")

    def records(self, value: str, flexible: bool, nullable: bool) -> None:
        out = self.source
        assert self.out == "out", "records inside a tagged field"
        self.flush()
        out.add(f"records = {value}")
        with out.block("if records is None:"):
            if nullable:
                out.add('out += b"\\0"' if flexible else 'out += b"\\xff\\xff\\xff\\xff"')
            else:
                out.add('raise TypeError("records must not be None")')
        with out.block("else:"):
            out.add("buffers = records if type(records) is list else buffer_list(records)")
            if flexible:
                out.add("out += uvarint(sum(map(len, buffers)) + 1)")
            else:
                out.formats.add("pack_i")
                out.add("out += pack_i(sum(map(len, buffers)))")
            out.add("parts.append(out)")
            out.add("parts += buffers")
            out.add("out = bytearray()")

    def array(self, field: Field, value: str, flexible: bool, nullable: bool, depth: int) -> None:
        out = self.source
        items = f"items{depth + 1}"
        out.add(f"{items} = {value}")
        if flexible and not self.message.busy:
            self.flush()
            out.add(f"{helper('put', 'count', flexible, nullable)}({self.out}, {items})")
        elif flexible:
            self.flush()
            count = f"0 if {items} is None else len({items}) + 1" if nullable else f"len({items}) + 1"
            out.add(f"n = {count}")
            out.add(f"{self.out} += UVARINTS[n] if n < 128 else uvarint(n)")
        else:
            self.put(f"-1 if {items} is None else len({items})" if nullable else f"len({items})", "i")
            self.flush()
        if field.type in FIXED:
            with out.block(f"if {items}:"):
                self.fixed_array(field, items)
            return
        with out.block(f"for m{depth + 1} in {items} or ():" if nullable else f"for m{depth + 1} in {items}:"):
            if field.struct:
                self.struct(field.struct, f"m{depth + 1}", depth + 1)
                self.flush()
            else:
                self.text(field.type, f"m{depth + 1}", flexible, False)

    def fixed_array(self, field: Field, items: str) -> None:
        out = self.source
        if field.type == "uuid":
            with out.block(f"for text in {items}:"):
                with out.block("if len(text) != 16:"):
                    out.add(f'raise bad_uuid("{field.name}", text)')
                out.add(f"{self.out} += text")
        elif field.type == "int32":
            out.add(f"n = len({items})")
            out.add(f"{self.out} += (PACK_INTS[n] if n < FEW else pack_ints(n))(*{items})")
        else:
            code = FIXED[field.type][0]
            out.add(f'{self.out} += pack(f">{{len({items})}}{code}", *{items})')

    def tags(self, struct: Struct, me: str, depth: int) -> None:
        out = self.source
        fields = tagged(struct, self.version)
        if not fields:
            self.put("", "x")
            return
        self.flush()
        conditions = [differs(field, f"{me}.{field.name}") for field in fields]
        with out.block(f"if {' and '.join(is_default(field, f'{me}.{field.name}') for field in fields)}:"):
            out.add(f'{self.out} += b"{chr(92)}0"')
        with out.block("else:"):
            outer, section, body = self.out, f"section{depth}", f"body{depth}"
            out.add(f"count{depth} = 0")
            out.add(f"{section} = bytearray()")
            for field, condition in zip(fields, conditions, strict=True):
                with out.block(f"if {condition}:"):
                    out.add(f"{body} = bytearray()")
                    self.out = body
                    self.field(field, f"{me}.{field.name}", depth)
                    self.flush()
                    self.out = outer
                    out.add(f"count{depth} += 1")
                    out.add(f"{section} += uvarint({field.tag}) + uvarint(len({body})) + {body}")
            out.add(f"{outer} += uvarint(count{depth})")
            out.add(f"{outer} += {section}")


def is_default(field: Field, value: str) -> str:
    """A condition in Python that only holds if the value of the field is its default; cheap, so it may fail to hold."""
    if field.default == "None" or field.shared_default:
        return f"{value} is {field.default}"
    if field.default in ("True", "False"):
        return value if field.default == "True" else f"not {value}"
    return f"{value} == {field.default}"


def differs(field: Field, value: str) -> str:
    """A condition in Python: the value of the field is not its default."""
    if field.default == "None":
        return f"{value} is not None"
    if field.default in ("True", "False"):
        return f"not {value}" if field.default == "True" else value
    if field.shared_default:
        return f"differs({value}, {field.default})"
    return f"{value} != {field.default}"
