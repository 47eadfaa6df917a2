"""A headless browser, as the tests of the pages use it.

Pictures of every screen are kept in the folder that RAG_SCREENSHOTS names, if it is set.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="needs chromium and chromedriver")


@dataclass
class Browser:
    """A headless browser on one address; elements are found by what a person reads."""

    driver: webdriver.Chrome
    address: str
    pictures: Path

    def open(self, path: str) -> None:
        self.driver.get(self.address + path)

    def see(self, text: str, element: str = "*") -> WebElement:
        """Return the innermost visible element with a text, waiting for it."""
        holds = f"{element}[contains(normalize-space(.), '{text}')]"

        def look(driver: WebDriver) -> WebElement | Literal[False]:
            for found in driver.find_elements(By.XPATH, f"//{holds}[not(.//{holds})]"):
                if found.is_displayed():
                    return found
            return False

        return WebDriverWait(self.driver, 240, ignored_exceptions=[StaleElementReferenceException]).until(look, text)

    def press(self, text: str) -> None:
        """Press a button once it can be pressed."""
        WebDriverWait(self.driver, 240).until(lambda _: self.see(text, "button").is_enabled())
        self.see(text, "button").click()

    def picture(self, name: str) -> None:
        # Charts and graphs are drawn with an animation.
        time.sleep(1.5)
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))


@contextmanager
def browsing(address: str, folder: Path) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1600,1200",
        f"--user-data-dir={folder / 'browser'}",
    ):
        options.add_argument(argument)
    pictures = Path(os.environ.get("RAG_SCREENSHOTS") or folder / "pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    try:
        yield Browser(driver, address, pictures)
    finally:
        driver.quit()
