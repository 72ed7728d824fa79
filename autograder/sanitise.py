"""Makes harmless what a learner's code or text would have a browser show: HTML, Markdown, TeX, SVG, pictures.

The pages they end in (feedback, the formgrader, JupyterLab) are opened by people with rights of their own, and typeset
mathematics with MathJax. What is left here runs no script, loads nothing from anywhere, covers nothing of the page, and
links to http, https and mailto only.
"""

from __future__ import annotations

import base64
import binascii
import html as html_text
import io
import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

import nh3
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring


def _words(text: str) -> set[str]:
    return set(text.split())


MAX_PIXELS = 40e6  # of one picture: what a browser unpacks it to is four bytes for each
MAX_HTML = 100_000  # characters; deep nesting takes the square of its length, here and in a browser

_PICTURES = {"image/png": "PNG", "image/jpeg": "JPEG"}
_LINK = re.compile(r"(https?|mailto):", re.IGNORECASE)
_DATA = re.compile(r"data:(image/[a-z]+);base64,([A-Za-z0-9+/=\s]+)")

_TAGS = _words(
    "a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li"
    " ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr tt u ul var"
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
    "table": {"border"},
}
# A card of a check is laid out with styles of its own; none of these moves it out of its place or loads anything.
_CARD = {"*": {"style", "role", "aria-label"}}
_STYLES = _words(
    "background-color border border-bottom border-collapse border-color border-left border-radius border-right"
    " border-top color display font-family font-size font-style font-weight line-height margin margin-bottom"
    " margin-left margin-right margin-top max-width opacity overflow-x padding padding-bottom padding-left"
    " padding-right padding-top text-align text-decoration vertical-align white-space width"
)

# Of TeX, what makes links, loads styles or extensions, or writes elements and attributes of its own choice.
_TEX_NAMES = _words(
    "href url style class cssId data require mmlToken bbox special includegraphics csname unicode texttip mathtip"
    " html htmlClass htmlData htmlId htmlStyle"
)
_TEX = re.compile(rf"(?<!\\)\\+(?=(?:{'|'.join(sorted(_TEX_NAMES))})(?![A-Za-z]))")

# Markdown without any of these is the same harmless thing in every renderer.
_FENCE = r"^(?>.*?(?:```|~~~))[^\n]*(?:[\"'=]|mermaid)"
_NOT_PLAIN = re.compile(rf"[<&]|!\[|\][(:](?!\s*(?:https?://|mailto:))|{_FENCE}", re.IGNORECASE | re.MULTILINE)
MAX_MARKDOWN = 50_000  # characters that stay as they are, and
MAX_RENDERED = 10_000  # that are rendered here: what was made to be slow takes the square of its length
_RUN = re.compile(r"([`\\])\1{99}")  # which takes a renderer longest, and is of no use to anybody


def html(text: str, *, card: bool = False) -> str:
    """HTML of basic text, tables and lists. ``card``: as an instructor's test draws it, in colours and boxes."""
    cleaned = nh3.clean(
        text,
        tags=_TAGS,
        attributes={**_ATTRIBUTES, **_CARD} if card else _ATTRIBUTES,
        allowed_classes={"table": {"dataframe"}},
        attribute_filter=_attribute,
        filter_style_properties=_STYLES,
        url_schemes={"http", "https", "mailto", "data"},  # data: of pictures only, see _attribute
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )
    return tex(cleaned)


def _attribute(tag: str, name: str, value: str) -> str | None:
    if (tag, name) == ("a", "href"):
        return value if _LINK.match(value) else None
    if (tag, name) == ("img", "src"):
        return _data_url(value)
    if name == "style" and re.search(r"[\\@]|url|image|expression|/\*", value, re.IGNORECASE):
        return None
    return value


def tex(text: str) -> str:
    """TeX whose commands that link, load or write attributes are mere words."""
    return _TEX.sub("", text)


def latex(text: str) -> str:
    """The same for what is TeX as a whole, with no character that HTML would read."""
    return tex(text.replace("<", r"\lt ").replace(">", r"\gt ").replace("&#", "& #"))


def picture(mime: str, text: Any) -> str | None:
    """Base64 of what is a PNG or JPEG picture of a bearable size, written anew; None for anything else."""
    from PIL import Image

    if mime not in _PICTURES or not isinstance(text, str):
        return None
    try:
        content = base64.b64decode(text, validate=False)
        with Image.open(io.BytesIO(content), formats=[_PICTURES[mime]]) as opened:  # reads its header
            if opened.width * opened.height > MAX_PIXELS:
                return None
    except (OSError, ValueError, SyntaxError, OverflowError, binascii.Error, Image.DecompressionBombError):
        return None
    return base64.b64encode(content).decode()


def _data_url(value: str) -> str | None:
    if (found := _DATA.fullmatch(value.strip())) is None:
        return None
    made = picture(found[1], found[2])
    return None if made is None else f"data:{found[1]};base64,{made}"


# -- Markdown --------------------------------------------------------------------------------------------


def markdown(source: str, attachments: dict[str, dict[str, str]] | None = None) -> str:
    """Markdown that shows what ``source`` shows, and does no harm.

    Plain Markdown stays as it is. What has HTML, pictures or links of other kinds in it becomes the HTML that it would
    be rendered to, made harmless; what cannot be rendered is shown as the text that it is.
    """
    if len(source) > MAX_MARKDOWN or _RUN.search(source):
        return verbatim(source)
    if not _NOT_PLAIN.search(source) and not _TEX.search(source):
        return source
    if len(source) > MAX_RENDERED:
        return verbatim(source)
    try:
        shown = html(_render(source, attachments or {}))
    except Exception:  # a missing attachment, or whatever hostile text does to a renderer
        return verbatim(source)
    # In one line and within one element, none of it is read as Markdown again.
    return f"<div>{_one_line(shown)}</div>"


def verbatim(text: str) -> str:
    """Text as it is, for a Markdown cell. Mathematics in it is not typeset."""
    return f"<pre>{_one_line(html_text.escape(text))}</pre>"


def raw(text: str) -> str:
    """The text of a raw cell, which nbconvert puts into pages as it is."""
    return tex(html_text.escape(text, quote=False)) if re.search("[<&]", text) else tex(text)


def _one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "&#10;")


def _render(source: str, attachments: dict[str, dict[str, str]]) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    renderer = IPythonRenderer(escape=False, exclude_anchor_links=True, attachments=attachments)
    return str(MarkdownWithMath(renderer=renderer).render(source))


def attachments(given: Any) -> dict[str, dict[str, str]]:
    """The pictures among a cell's attachments."""
    kept: dict[str, dict[str, str]] = {}
    for name, bundle in given.items() if isinstance(given, dict) else ():
        for mime, text in bundle.items() if isinstance(bundle, dict) else ():
            if isinstance(name, str) and (made := picture(mime, text)) is not None:
                kept.setdefault(name, {})[mime] = made
    return kept


# -- SVG -------------------------------------------------------------------------------------------------

_SVG = "http://www.w3.org/2000/svg"
_SVG_TAGS = _words(
    "circle clipPath defs desc ellipse g image line linearGradient path polygon polyline radialGradient rect stop svg"
    " symbol text title tspan use"
)
_SVG_ATTRIBUTES = _words(
    "clip-path clip-rule clipPathUnits color cx cy d dx dy fill fill-opacity fill-rule font-family font-size font-style"
    " font-weight fx fy gradientTransform gradientUnits height id offset opacity points preserveAspectRatio r rx ry"
    " stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin"
    " stroke-miterlimit stroke-opacity stroke-width style text-anchor dominant-baseline transform version viewBox width"
    " x x1 x2 y y1 y2"
)


# None of these moves a picture, or draws beyond its edges.
_SVG_STYLES = (_SVG_ATTRIBUTES - {"style", "transform"}) | _words("display font letter-spacing visibility white-space")


def svg(text: str) -> str | None:
    """An SVG picture of shapes and text, as plotting libraries draw it; None for what is none."""
    try:
        root = fromstring(text)
        if _name(root.tag) != "svg" or _multiplies(root):
            return None
        root.attrib.pop("transform", None)  # which would move the picture itself
        made = _shape(root, Element("svg", {"xmlns": _SVG}))
        return tostring(made, encoding="unicode")
    except (ParseError, DefusedXmlException, RecursionError, ValueError):
        return None


def _name(tag: Any) -> str:
    return tag.removeprefix(f"{{{_SVG}}}") if isinstance(tag, str) else ""


def _shape(given: Element, made: Element) -> Element:
    """Fills ``made`` with what may stay of ``given``."""
    made.text = given.text and tex(given.text)
    made.tail = given.tail and tex(given.tail)
    for name, value in given.attrib.items():
        if name in _SVG_ATTRIBUTES and not _loads(value):
            made.set(name, _style(value) if name == "style" else value)
        elif name.rpartition("}")[2] == "href" and (kept := _reference(made.tag, value)):
            made.set("href", kept)
    for child in given:
        if _name(child.tag) in _SVG_TAGS:
            _shape(child, SubElement(made, _name(child.tag)))
    return made


def _style(value: str) -> str:
    kept = (one for one in value.split(";") if one.partition(":")[0].strip().lower() in _SVG_STYLES)
    return ";".join(kept)


def _loads(value: str) -> bool:
    return re.search(r"[\\@]|url\(\s*(?!#)|image|expression", value, re.IGNORECASE) is not None


def _reference(tag: str, value: str) -> str | None:
    if tag == "image":
        return _data_url(value)
    return value if value.startswith("#") else None


def _multiplies(root: Element) -> bool:
    """Whether a copied part holds copies itself: a few of those, nested, are billions."""
    uses = [element for element in root.iter() if _name(element.tag) == "use"]
    targets = {value for use in uses for name, value in use.attrib.items() if name.rpartition("}")[2] == "href"}
    return any(
        f"#{element.get('id')}" in targets and any(_name(inner.tag) == "use" for inner in element.iter())
        for element in root.iter()
        if element.get("id")
    )
