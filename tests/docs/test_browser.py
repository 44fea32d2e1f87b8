"""The site and a report, as a browser shows them at desk and at phone width."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import matplotlib.pyplot as plt
import pytest
from browser import DESK, PHONE, PROGRAM, Browser

from metajax.systems import Figure, write_page

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def served(site):
    """The address of the site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def browser(served, tmp_path):
    browser = Browser(tmp_path / "profile", served)
    yield browser
    browser.close()


@pytest.mark.slow
def test_every_page_loads_without_errors_and_fits_a_phone(site, served, browser):
    """No script error, no missing file, nothing asked of other hosts, no sideways scrolling."""
    browser.size(PHONE)
    wide = {}
    for page in sorted(site.rglob("*.html")):
        if page.name != "404.html":
            browser.visit(served + str(page.relative_to(site)))
            if found := browser.wider_than_window():
                wide[str(page.relative_to(site))] = found
    assert not browser.troubles
    assert not wide


def test_a_reader_clicks_through_the_site(served, browser):
    """By the tabs at a desk, the drawer on a phone, the footer and the search."""
    browser.size(DESK)
    browser.visit(served)
    tabs = browser.run("document.querySelectorAll('.md-tabs__link').length")
    assert tabs >= 6
    places = set()
    for tab in range(tabs):
        browser.loaded = False
        browser.run(f"document.querySelectorAll('.md-tabs__link')[{tab}].click()")
        browser.wait_for_load()
        places.add(browser.run("location.pathname"))
        assert not browser.wider_than_window()
    assert len(places) == tabs

    browser.loaded = False
    browser.run("document.querySelector('.md-footer__link--prev').click()")
    browser.wait_for_load()
    assert browser.run("location.pathname") not in places

    browser.run(
        """(() => {
          const words = document.querySelector('[data-md-component=search-query]');
          words.focus(); words.value = 'hypergradient';
          words.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
        })()"""
    )
    assert browser.wait_until("document.querySelector('.md-search-result__item a') !== null")

    browser.size(PHONE)
    browser.visit(served)
    browser.run("document.querySelector('label.md-header__button[for=__drawer]').click()")
    assert browser.wait_until("document.querySelector('#__drawer').checked")
    assert not browser.troubles


def test_a_report_fits_a_phone(tmp_path, browser):
    """Also one with long lines, a wide figure and a setting without a space to break at."""

    def draw():
        figure, axes = plt.subplots(1, 3, figsize=(14, 3))
        axes[0].plot([0, 1])
        return figure

    page = write_page(
        tmp_path,
        "a run",
        "metajax train fewshot " + "--option value " * 20 + "--workdir /" + "folder/" * 30,
        "a line of a table" * 20,
        [Figure("curves", "a caption " * 30, draw)],
        {"settings": {"a_long_name_of_a_setting": "x" * 200, "seed": 0}},
    )
    browser.check_file(page)
    # its text is not shrunk until nobody can read it
    assert browser.run("document.images[0].getBoundingClientRect().width") == 800
