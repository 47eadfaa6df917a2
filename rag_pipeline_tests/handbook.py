"""The real history of a company handbook, commit by commit: 977 commits, 685 renames (18F/handbook, CC0)."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

DATA = Path(os.environ.get("RAG_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
BUNDLE = DATA / "handbook.bundle"
MISSING = f"the handbook's history is not here: {BUNDLE.name} is looked for in RAG_SHARED_DATA or ../shared/data"


def git(repository: Path, *arguments: str) -> str:
    """Run git on a bare repository and return what it prints."""
    return subprocess.run(
        ["git", "--git-dir", repository, *arguments], check=True, capture_output=True, text=True
    ).stdout


@dataclass(frozen=True, slots=True)
class History:
    """A bare repository whose branch `main` can be set to any commit of the handbook's first-parent history."""

    repository: Path
    commits: tuple[str, ...]

    @classmethod
    def unpack(cls, folder: Path) -> "History":
        """Clone the bundle into `folder`."""
        repository = folder / "handbook.git"
        subprocess.run(["git", "clone", "--quiet", "--mirror", BUNDLE, repository], check=True)
        commits = git(repository, "rev-list", "--first-parent", "--reverse", "main").split()
        return cls(repository, tuple(commits))

    def go_to(self, commit: str) -> None:
        """Make a commit the head of `main`, as a push would."""
        git(self.repository, "update-ref", "refs/heads/main", commit)

    def spread(self, points: int) -> list[str]:
        """Return commits spread evenly over the history, the first and the last among them."""
        last = len(self.commits) - 1
        return [self.commits[round(number * last / (points - 1))] for number in range(points)]

    def pure_renames(self) -> list[tuple[str, str]]:
        """Return (commit before, commit) pairs between which files only changed their names."""
        log = git(
            self.repository, "log", "--first-parent", "--reverse", "-m", "-M100%", "--raw", "--format=%x00%H", "main"
        )
        found: list[tuple[str, str]] = []
        previous = ""
        for entry in log.split("\0")[1:]:
            commit, *changes = entry.split("\n")
            kinds = [change.split("\t")[0].split(" ")[-1] for change in changes if change.startswith(":")]
            if kinds and previous and all(kind == "R100" for kind in kinds):
                found.append((previous, commit))
            previous = commit
        return found
