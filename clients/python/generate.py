"""Makes fanfold/types.py from the OpenAPI document: python generate.py < openapi.json > fanfold/types.py"""
import json
import keyword
import re
import sys

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def annotation(schema) -> str:
    if not isinstance(schema, dict):
        return "Any"
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(map(annotation, schema[several])))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(annotation({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"list[{annotation(schema.get('items'))}]"
    if kind == "object":
        return f"dict[str, {annotation(schema.get('additionalProperties'))}]"
    return PLAIN.get(kind, "Any")


def comment(text: str | None, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in (text or "").splitlines()]


def lines(name: str, schema: dict) -> list[str]:
    parts = schema.get("allOf", [schema])
    bases = [annotation(part) for part in parts if "$ref" in part]
    fields = [part for part in parts if "properties" in part]
    if not fields:
        return [*comment(schema.get("description"), ""), f'{name}: TypeAlias = "{annotation(schema)}"']
    made = [f"class {name}({', '.join(bases) or 'TypedDict'}):", f'    """{schema.get("description") or name}"""']
    for part in fields:
        for field, of in part["properties"].items():
            if not re.fullmatch(r"[A-Za-z_]\w*", field) or keyword.iskeyword(field):
                made.append(f"    # '{field}' has no form here: read it as item['{field}']")
                continue
            kind = annotation(of)
            made += comment(of.get("description") if isinstance(of, dict) else None, "    ")
            made.append(f"    {field}: {kind if field in part.get('required', []) else f'NotRequired[{kind}]'}")
    return made


def ordered(schemas: dict) -> list[str]:
    """The names, each behind the ones that it inherits from."""
    done: list[str] = []

    def visit(name: str) -> None:
        for part in schemas[name].get("allOf", []):
            if "$ref" in part:
                visit(annotation(part))
        if name not in done:
            done.append(name)

    for name in sorted(schemas):
        visit(name)
    return done


def main() -> None:
    schemas = json.load(sys.stdin)["components"]["schemas"]
    print('"""The types of the API. generate.py made this file from /openapi.json: do not edit it."""')
    print("from __future__ import annotations\n")
    print("from typing import TYPE_CHECKING, Any, Literal, TypedDict\n")
    print("if TYPE_CHECKING:\n    from typing import NotRequired, TypeAlias")
    for name in ordered(schemas):
        print("\n")
        print("\n".join(lines(name, schemas[name])))


main()
