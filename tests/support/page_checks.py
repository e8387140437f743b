"""Scripts that the tests of the page run in it, and clicks on its points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)><a href="javascript:alert(3)">x</a>'
PLACES = "document.getElementById('front-plot').places()"
SHOWN = "document.getElementById('selected').dataset.architecture"
DRAWN = "document.getElementById('drawing').dataset.architecture"

OVERLAPS = """(() => {
  const seen = (node) => node.getClientRects().length && getComputedStyle(node).visibility !== "hidden";
  const labels = [".plot text:not(.letter)", ".menus > *", ".legend button", "nav a", ".slider > *", ".counts > div",
    ".values > div", "th"].join();
  const groups = ".plot, .menus, .legend, nav, .slider, .counts, .values, tr";
  const texts = [...document.querySelectorAll(labels)].filter((one) => seen(one) && one.textContent.trim());
  const boxes = texts.map((node) => ({
    box: node.getBoundingClientRect(), text: node.textContent, parent: node.closest(groups),
  }));
  const found = [];
  for (let i = 0; i < boxes.length; i += 1) for (let k = i + 1; k < boxes.length; k += 1) {
    const a = boxes[i], b = boxes[k];
    if (a.parent !== b.parent) continue;
    const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
    const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
    if (wide > 1 && high > 1) found.push([a.text, b.text]);
  }
  return found;
})()"""
"""Pairs of labels whose boxes overlap."""


def sets(identity: str, value: str, event: str = "change") -> str:
    """Return a script that sets a menu or field and tells it."""
    field = f"Object.assign(document.getElementById('{identity}'), {{value: '{value}'}})"
    return f"{field}.dispatchEvent(new Event('{event}', {{bubbles: true}}))"


def press(key: str) -> str:
    """Return a script that presses a key."""
    return f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}}))"


def isolated(places: Mapping[str, tuple[float, float]], wanted: Iterable[int]) -> list[str]:
    """Return the trials among `wanted` whose points have no other point within 10 pixels."""
    near = {n for a, b in itertools.permutations(places, 2) if math.dist(places[a], places[b]) < 10 for n in (a, b)}
    return [number for number in places if number not in near and int(number) in set(wanted)]


def click_on(browser: Any, number: str) -> None:
    """Click on a trial's point."""
    browser.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
    browser.click(*browser.evaluate(PLACES)[number])


def front_of(browser: Any) -> list[int]:
    """Return the trials of the front that the page shows, cheapest first."""
    return [int(number) for number in browser.evaluate("document.getElementById('front-plot').dataset.front").split()]
