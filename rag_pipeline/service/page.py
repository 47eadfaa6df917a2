"""The page in which a person asks: one file, which runs its own script and style and no others."""

import base64
import hashlib
import re
from importlib.resources import files


class Page:
    """The page and the policy under which browsers run it."""

    def __init__(self) -> None:
        """Read the page."""
        self.html = files("rag_pipeline.service").joinpath("page.html").read_text("utf-8")
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src {_digests(self.html, 'script')}",
                f"style-src {_digests(self.html, 'style')}",
                "connect-src 'self'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
            )
        )


def _digests(html: str, element: str) -> str:
    """Name the inline elements by their SHA-256: what a document's text might smuggle in has another."""
    texts = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)
