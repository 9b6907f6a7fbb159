"""Parser of a page: its elements, their attributes, and its text."""

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """Attributes: `elements` (name, attributes), `text`, `open` (elements that were not
    closed), `scripts` (their contents). The text is what is read without scripts."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.faults, self.chunks = [], [], [], []
        self.scripts = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        if not {"style", "script", "template"} & set(self.open):
            self.chunks.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.chunks).split())

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
