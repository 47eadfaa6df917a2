"""Models that come with the installation: files of a wheel that is used as data only.

The wheel's code is never imported. Every file that is loaded is checked against a hash that is written in
this project, because what the wheel says of itself proves nothing.
"""

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Packaged:
    """Files of one model: the wheel, the folder in it, and name and sha256 of each file that is read."""

    distribution: str
    folder: str
    hashes: tuple[tuple[str, str], ...]

    @property
    def remedy(self) -> str:
        """What to do where the wheel is missing."""
        return "install it again"

    def checked_folder(self, name: str) -> Path:
        """Return the folder with the model's files, all as released.

        `name` is what the settings call the model. Raises `ConfigurationError` when the wheel is missing, or a
        file of it is missing or another one.
        """
        try:
            place = importlib.metadata.distribution(self.distribution).locate_file(self.folder)
        except importlib.metadata.PackageNotFoundError as error:
            raise ConfigurationError(
                f"the package {self.distribution}, which carries {name}, is missing; {self.remedy}"
            ) from error
        folder = Path(str(place))
        for file, expected in self.hashes:
            if sha256(folder / file) != expected:
                raise ConfigurationError(f"{folder / file} is not the released file; install {self.distribution} again")
        return folder


def sha256(file: Path) -> str | None:
    """Return the hexadecimal SHA-256 of a file; None where there is none."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None
