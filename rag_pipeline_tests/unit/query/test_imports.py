import subprocess
import sys

HEAVY = ("dagster", "pandas", "pyarrow", "pydantic", "fastembed", "onnxruntime", "openai", "redis", "opentelemetry")


def loaded_by(statement: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_check_sees_heavy_packages() -> None:
    assert loaded_by("import rag_pipeline.settings") == {"pydantic"}


def test_query_loads_nothing_heavy() -> None:
    assert loaded_by("import rag_pipeline.query") == set()


def test_the_command_line_loads_nothing_heavy_before_a_verb_runs() -> None:
    help_of_refresh = "import rag_pipeline.cli as c\ntry: c.main(['refresh', '--help'])\nexcept SystemExit: pass"
    program = f"import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()):\n exec({help_of_refresh!r})"
    assert loaded_by(program) == set()
