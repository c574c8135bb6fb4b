"""The page in a browser: no complaints, nothing asked of the network, fits two widths, works by keyboard.

These run where a Chromium is installed.
"""

from pathlib import Path

import pytest
from browser import Browser

WIDE, NARROW = 1280, 390
# Smallest type that people read without effort on a screen, in CSS pixels.
SMALLEST = 9.5


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_loads_without_a_complaint(browser: Browser, plain_report: Path, width: int) -> None:
    browser.errors.clear()
    browser.requests.clear()
    browser.open(plain_report, width)
    assert browser.ask("document.documentElement.classList.contains('js')"), "the policy stopped the script"
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "about"}
    assert len([url for url in browser.requests if url.startswith("file")]) == 1


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_fits_its_window(browser: Browser, plain_report: Path, width: int) -> None:
    browser.open(plain_report, width)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    # Text in pictures shrinks with them: measure it as it is drawn.
    smallest = browser.ask(
        "Math.min(...[...document.querySelectorAll('svg.chart text, .map text')].filter(t => t.getClientRects().length)"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a))"
    )
    assert smallest >= SMALLEST


def test_panels_change_by_arrow_keys(browser: Browser, plain_report: Path) -> None:
    browser.open(plain_report, WIDE)
    chosen = "document.querySelector('#capacity [aria-selected=true]').textContent"
    shown = "[...document.querySelectorAll('#capacity .panel')].filter(p => p.offsetHeight > 0).length"
    first = browser.ask(chosen)
    assert browser.ask(shown) == 1
    browser.ask("document.querySelector('#capacity [aria-selected=true]').focus()")
    browser.press("ArrowRight")
    second = browser.ask(chosen)
    assert second != first
    assert browser.ask("document.activeElement.textContent") == second
    assert browser.ask(shown) == 1
    browser.press("Home")
    assert browser.ask(chosen) == first
    browser.press("ArrowLeft")
    last = browser.ask(chosen)
    browser.press("Home")
    browser.press("End")
    assert browser.ask(chosen) == last


def test_the_first_tab_stop_skips_to_the_content(browser: Browser, plain_report: Path) -> None:
    browser.open(plain_report, NARROW)
    browser.press("Tab")
    assert browser.ask("document.activeElement.className") == "skip"
    assert browser.ask("document.activeElement.getBoundingClientRect().top") >= 0
    browser.press("Enter")
    assert browser.ask("location.hash") == "#main"


def test_everything_to_use_can_be_reached_and_shows_focus(browser: Browser, plain_report: Path) -> None:
    browser.open(plain_report, WIDE)
    reached, unmarked = set(), []
    for _ in range(400):
        browser.press("Tab")
        where, outline = browser.ask(
            "(() => { const e = document.activeElement; e.dataset.seen = '1';"
            " return [e.tagName, getComputedStyle(e).outlineStyle]; })()"
        )
        if where == "BODY":
            break
        reached.add(where)
        if outline == "none":
            unmarked.append(where)
    assert {"A", "BUTTON", "INPUT", "SELECT", "SUMMARY", "DIV"} <= reached
    assert not unmarked
    left = browser.ask(
        "[...document.querySelectorAll('button, select, input, summary, nav a')]"
        ".filter(e => e.checkVisibility() && e.tabIndex >= 0 && !e.dataset.seen).length"
    )
    assert left == 0


def test_a_table_is_sorted_by_its_figures(browser: Browser, plain_report: Path) -> None:
    browser.open(plain_report, WIDE)
    browser.ask("document.querySelector('#network details').open = true")
    browser.ask("document.querySelectorAll('#network th .sort')[2].focus()")
    column = "[...document.querySelectorAll('#network tbody tr')].map(r => parseFloat(r.cells[2].dataset.sort))"
    browser.press("Enter")
    down = browser.ask(column)
    assert down == sorted(down, reverse=True)
    browser.press(" ")
    assert browser.ask(column) == sorted(down)


def test_one_site_of_the_map_is_shown_alone(browser: Browser, plain_report: Path) -> None:
    browser.open(plain_report, WIDE)
    count = (
        "[...document.querySelectorAll('#map .arcs path')].filter(p => getComputedStyle(p).display !== 'none').length"
    )
    everything = browser.ask(count)
    choose = "(s => { s.value = '%s'; s.dispatchEvent(new Event('change')); })(document.getElementById('map-site'))"
    browser.ask(choose % "1")
    alone = browser.ask(count)
    assert 0 < alone < everything
    browser.ask(choose % "")
    assert browser.ask(count) == everything
    browser.ask("document.querySelector('[data-toggle=customer]').click()")
    assert browser.ask("[...document.querySelectorAll('.arcs.customer')].every(g => g.classList.contains('off'))")


def test_dark_and_light_can_be_chosen(browser: Browser, plain_report: Path) -> None:
    browser.open(plain_report, WIDE)
    paper = "getComputedStyle(document.body).backgroundColor"
    before = browser.ask(paper)
    browser.ask("document.getElementById('theme').focus()")
    browser.press("Enter")
    assert browser.ask(paper) != before
    browser.press("Enter")
    assert browser.ask(paper) == before
