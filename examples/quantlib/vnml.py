"""Reading a task document, and setting results in it. Everything else in it stays as it is."""
from datetime import date
from xml.dom import minidom

from fanfold.worker import Never


class Node:
    """An element, with the path by which it was reached."""

    def __init__(self, element, path):
        self.element, self.path = element, path

    def children(self, tag):
        return [Node(of, f"{self.path}/{tag}") for of in self.element.childNodes
                if of.nodeType == of.ELEMENT_NODE and of.tagName == tag]

    def find(self, path):
        """The first element at a path below this one, or none."""
        node = self
        for tag in path.split("/"):
            found = node.children(tag)
            if not found:
                return None
            node = found[0]
        return node

    def get(self, path):
        node = self.find(path)
        if node is None:
            raise Never(f"there is no {self.path}/{path}", code="quantlib-missing")
        return node

    def named(self, tag, name):
        for node in self.children(tag):
            if node.element.getAttribute("name") == name:
                return node
        raise Never(f"there is no {self.path}/{tag} named '{name}'", code="quantlib-missing")

    def attribute(self, name, default=None):
        value = self.element.getAttribute(name) if self.element.hasAttribute(name) else default
        if value is None:
            raise Never(f"{self.path} has no attribute {name}", code="quantlib-missing")
        return value

    def text(self, path=None, default=None):
        node = self.find(path) if path else self
        if node is None and default is None:
            node = self.get(path)
        if node is None:
            return default
        texts = (n.data for n in node.element.childNodes if n.nodeType in (n.TEXT_NODE, n.CDATA_SECTION_NODE))
        return "".join(texts).strip() or default or ""

    def number(self, path, default=None):
        return self.as_number(self.text(path, None if default is None else str(default)), path)

    def as_number(self, text, path):
        try:
            return float(text)
        except ValueError:
            raise Never(f"{self.path}/{path} is '{text}', and no number", code="quantlib-bad-value")

    def date(self, path):
        text = self.text(f"{path}/date" if path else "date")
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise Never(f"{self.path}/{path}/date is '{text}', and no date", code="quantlib-bad-value")

    def choice(self, choices, path, default=None):
        text = self.text(path, default)
        if text not in choices:
            raise Never(f"{self.path}/{path} is '{text}', and none of {', '.join(choices)}", code="quantlib-bad-value")
        return choices[text]

    def set(self, path, value):
        """Sets the text of an element, and adds the elements that are missing."""
        node = self
        for tag in path.split("/"):
            found = node.children(tag)
            if not found:
                node.element.appendChild(node.element.ownerDocument.createElement(tag))
            node = node.children(tag)[0]
        while node.element.firstChild:
            node.element.removeChild(node.element.firstChild)
        node.element.appendChild(node.element.ownerDocument.createTextNode(value))


def valuation(document):
    """The document, and its first valuation."""
    parsed = minidom.parseString(document.encode())
    return parsed, Node(parsed.documentElement, "").get("project/group/valuation")
