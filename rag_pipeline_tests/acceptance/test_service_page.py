"""The page in a real browser, over `rag-pipeline serve` as it is run: asked, opened, and seen with other eyes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from rag_pipeline.database.connection import server_url
from rag_pipeline.settings import Settings
from rag_pipeline_tests.browser import Browser, browsing, needs_browser
from rag_pipeline_tests.running import COMMAND, free_port, indexed, running, workspace_of_two
from rag_pipeline_tests.unit.service.signing import AUDIENCE, ISSUER, SECRET, claims, signed

pytestmark = needs_browser

SERVICE = f"""
[service]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
"""
KEYS = """# Keys

Who loses a key tells the help desk at once.

## Rotation

A key is rotated each month. 🗝 The **second** key is kept in the `safe`.

```sh
rotate --key "<b>one</b>"
```

## Loss

<img src=x onerror="document.title='run'"><script>document.title = 'run'</script> A key that is lost is rotated at once.

## Return

A key is given back on the last day.
"""
PAY = "# Pay\n\nThe key to the pay bands is rotated by two people.\n"


@pytest.fixture
def workspace(settings: Settings, tmp_path: Path) -> Settings:
    """Two sources, one of them for group:hr, in an index."""
    return indexed(workspace_of_two(tmp_path, server_url(settings), KEYS, PAY, SERVICE))


@contextmanager
def serving(settings: Settings, *options: str) -> Iterator[str]:
    """Run `rag-pipeline serve` for a workspace and give its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [COMMAND, "serve", "--port", str(port), *options]
    log = settings.folder / "serve.log"
    environ = os.environ | {"RAG_TOKEN_SECRET": SECRET}
    with running(command, settings.folder, environ, f"{address}/health", log, 240) as process:
        yield address
    assert process.returncode == 0
    assert "Traceback" not in log.read_text()


def show_token(browser: Browser, user: str, *groups: str) -> None:
    """Give the page another token in the panel of the caller."""
    panel = browser.driver.find_element(By.ID, "caller-panel")
    if not panel.is_displayed():
        browser.driver.find_element(By.ID, "caller-button").click()
    browser.driver.find_element(By.ID, "token").send_keys(signed(claims(sub=user, groups=[*groups])))
    browser.press("Use token")


def ask(browser: Browser, text: str) -> None:
    question = browser.driver.find_element(By.ID, "question")
    question.clear()
    question.send_keys(text, Keys.ENTER)


def titles(browser: Browser) -> list[str]:
    return [hit.text for hit in browser.driver.find_elements(By.CSS_SELECTOR, "#hits h3")]


def read_text(browser: Browser) -> str:
    return browser.driver.find_element(By.CSS_SELECTOR, "#reader .pages").text


def test_a_person_asks_opens_a_hit_and_sees_less_as_somebody_else(workspace: Settings, tmp_path: Path) -> None:
    with serving(workspace) as address, browsing(address, tmp_path) as browser:
        browser.open("/")
        browser.see("The service answers those who show a signed token.")
        browser.see("index as of")
        browser.picture("service-start")

        show_token(browser, "ana", "hr")
        browser.see("user:ana +1")
        ask(browser, "how is a key rotated")
        browser.see("Pay", "h3")
        assert len(titles(browser)) == 4
        browser.see("handbook", "span")

        # A hit is opened by keyboard, read in its document, and read on.
        question = browser.driver.find_element(By.ID, "question")
        question.send_keys(Keys.ARROW_DOWN)
        focused = browser.driver.switch_to.active_element
        assert focused.text == titles(browser)[0]
        next(
            button
            for button in browser.driver.find_elements(By.CSS_SELECTOR, "#hits h3 button")
            if "Rotation" in button.text
        ).click()
        browser.see("↓ Later", "button")
        exact = browser.driver.find_element(By.CSS_SELECTOR, "#reader .exact")
        assert "A key is rotated each month. 🗝 The second key is kept in the safe." in exact.text
        assert 'rotate --key "<b>one</b>"' in exact.text
        assert "given back" not in read_text(browser)
        browser.picture("service-reader")
        browser.press("↓ Later")
        browser.see("End of the document", "button")
        browser.see("A key is given back on the last day.")
        # What a document says is text, whatever it looks like.
        assert "<script>document.title = 'run'</script>" in read_text(browser)
        assert browser.driver.title == "rag-pipeline"

        # The layers, side by side.
        browser.press("How they were found")
        for text in ("Vector · 5", "Keyword · 5", "Fused · 5", "Hits · 4", "Every candidate"):
            browser.see(text)
        browser.see("ms", "h3")
        rows = browser.driver.find_elements(By.CSS_SELECTOR, "#view-layers tbody tr")
        fates = [row.find_elements(By.TAG_NAME, "td")[-1].text for row in rows]
        assert fates[:4] == ["a hit"] * 4
        assert "of its document" in fates[4]
        browser.picture("service-layers")

        # Somebody else, who may not read the salaries, sees less at once.
        show_token(browser, "eve")
        browser.see("user:eve")
        browser.press("Hits")
        WebDriverWait(browser.driver, 30).until(lambda _: len(titles(browser)) == 3)
        assert not [title for title in titles(browser) if title.startswith("Pay")]
        browser.picture("service-other-caller")

        # And a token that is no good shows nothing at all.
        show_token(browser, "")
        browser.see("describes nobody")
        assert titles(browser) == []
        assert [
            entry for entry in browser.driver.get_log("browser") if "Content Security Policy" in entry["message"]
        ] == []


def test_on_ones_own_machine_the_caller_is_fixed(workspace: Settings, tmp_path: Path) -> None:
    with serving(workspace, "--as", "user:ana", "--as", "group:hr") as address, browsing(address, tmp_path) as browser:
        browser.open("/")
        browser.see("user:ana +1")
        ask(browser, "how is a key rotated")
        browser.see("Pay", "h3")
        assert not browser.driver.find_element(By.ID, "token").is_displayed()
