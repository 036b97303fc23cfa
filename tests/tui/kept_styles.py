"""Styles that are worked out once for all the interfaces that a process of the tests shows, and only where they are
looked at: half of what it costs to open a screen. Programs on a terminal of their own (terminal.py) have Textual as it
is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode

__all__ = ["styles_once"]

parsed: dict[tuple[tuple[str, str], ...], LRUCache[Any, Any]] = {}
"""The rules of each style by its colours."""
chosen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
"""What the rules say of a node: by those that name it, and by all that a selector can ask of it and what it stands in.
"""
begin, change = Stylesheet.__init__, Stylesheet.set_variables
apply, replace = Stylesheet.apply, Stylesheet.replace_rules


def share(sheet: Stylesheet) -> None:
    sheet._parse_cache = parsed.setdefault(tuple(sorted(sheet._variables.items())), LRUCache(256))


def begun(self: Stylesheet, **given: Any) -> None:
    begin(self, **given)
    share(self)


def changed(self: Stylesheet, variables: dict[str, str]) -> None:
    self._parse_cache = LRUCache(1)  # it is emptied
    change(self, variables)
    share(self)


class Candidates:
    """The rules that name a node, and what they want to know."""

    def __init__(self, sheet: Stylesheet, node: DOMNode) -> None:
        named = {rule for name in sheet.rules_map.keys() & node._selector_names for rule in sheet.rules_map[name]}
        self.rules = [rule for rule in sheet.rules if rule in named]
        self.ids = tuple(map(id, self.rules))
        asked = set().union(*(rule.pseudo_classes for rule in self.rules))
        self.asked = tuple(sorted(asked))
        self.flags = {
            "_has_hover_style": "hover" in asked,
            "_has_focus_within": "focus-within" in asked,
            "_has_order_style": bool(asked & {"first-of-type", "last-of-type", "first-child", "last-child", "empty"}),
            "_has_odd_or_even": bool(asked & {"odd", "even"}),
        }

    def seen(self, node: DOMNode) -> tuple[Any, ...]:
        """All of a node that can decide whether a selector means it."""
        states = node._PSEUDO_CLASSES
        answers = [name in states and states[name](node) for name in self.asked]
        return (node.__class__, frozenset(node._classes), node._id, *answers)


def candidates(sheet: Any, node: DOMNode) -> Candidates:
    """Those of this node, found once."""
    if getattr(sheet, "found_in", None) is not sheet.rules:
        sheet.found_in, sheet.found = sheet.rules, {}
    key = node.__class__, frozenset(node._classes), node._id
    if key not in sheet.found:
        sheet.found[key] = Candidates(sheet, node)
    return sheet.found[key]


def applied(self: Stylesheet, node: DOMNode, *, animate: bool = False, cache: Any = None) -> None:
    found = candidates(self, node)
    key = found.ids, *(found.seen(each) for each in node.css_path_nodes)
    if key not in chosen:
        with pytest.MonkeyPatch.context() as patch:

            def replaced(which: DOMNode, rules: Any, animate: bool = False) -> None:
                if which is node:
                    chosen[key] = rules, found  # whose rules live as long as their numbers are used
                replace(which, rules, animate=animate)

            patch.setattr(self, "replace_rules", replaced, raising=False)
            apply(self, node, animate=animate, cache=cache)
        return
    for name, value in found.flags.items():
        setattr(node, name, value)
    rules = chosen[key][0]
    if node.styles.base._rules != rules:
        replace(node, rules, animate=animate)
    elif not animate:
        node.notify_style_update()
    self._process_component_classes(node)


class Components(dict[str, Any]):
    """The styles of a node's components: each when somebody asks for it."""

    def __init__(self, sheet: Stylesheet, node: DOMNode, names: frozenset[str]) -> None:
        self.sheet, self.node, self.names = sheet, node, names

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __missing__(self, name: str) -> Any:
        part = DOMNode(classes=name)
        part._attach(self.node)
        self.sheet.apply(part, animate=False)
        self[name] = part.styles
        return part.styles

    def clear(self) -> None:
        super().clear()
        self.names = frozenset()


def components(self: Stylesheet, node: DOMNode) -> None:
    names = node._get_component_classes()
    if names:
        old, node._component_styles = node._component_styles, Components(self, node, names)
        if not isinstance(old, Components) or any(node._component_styles[name] != old[name] for name in [*old]):
            node.refresh()


@contextmanager
def styles_once() -> Iterator[None]:
    """While this lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "__init__", begun)
        patch.setattr(Stylesheet, "set_variables", changed)
        patch.setattr(Stylesheet, "apply", applied)
        patch.setattr(Stylesheet, "_process_component_classes", components)
        yield
