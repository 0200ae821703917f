"""Run the shell blocks of Markdown pages and compare with the output that stands under them.

A block fenced as ```sh is run line by line in a scratch folder with `chipcast` on the path. A line may end
in `# exit N` when N is the exit code that the page promises. A block fenced as ```text that follows directly
is a sample of its output: every line of it without `...` must appear in what was printed. A block fenced as ```python
is run in a process of its own. A command that reads and writes no file of the page is run once for all pages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SKIP = ("make ", "git ")


def blocks(text: str) -> list[tuple[str, str]]:
    """Return (language, body) of each fenced block."""
    return [(m.group(1), m.group(2)) for m in FENCE.finditer(text)]


def run(line: str, folder: Path) -> str:
    """Run one command and return what it printed; fail with the page's promise in mind."""
    promised = re.search(r"#\s*exit (\d)\s*$", line)
    command = re.sub(r"\s+#.*$", "", line)
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    wanted = int(promised.group(1)) if promised else 0
    if done.returncode != wanted:
        sys.exit(f"'{command}' ended with {done.returncode}, the page says {wanted}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def shared(command: str, folder: Path) -> bool:
    """Return whether a command neither reads nor writes a file of its page."""
    own = {p.name for p in folder.iterdir()} | {"--out", "-o", ">"}
    return not any(word in own or word.endswith((".yaml", ".csv", ".json", ".svg")) for word in command.split())


def run_python(body: str, page: str) -> None:
    """Run a block of Python; fail with what it says."""
    done = subprocess.run([str(ROOT / ".venv" / "bin" / "python"), "-c", body], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"{page}: a block of Python fails:\n{body}\n{done.stderr}")


def main(pages: list[str]) -> None:
    """Run all pages; each has a scratch folder of its own."""
    known: dict[str, str] = {}
    for page in pages:
        with tempfile.TemporaryDirectory() as scratch:
            printed = ""
            for language, body in blocks(Path(page).read_text(encoding="utf-8")):
                if language == "sh":
                    printed = ""
                    for line in body.strip().splitlines():
                        if line.strip() and not line.startswith(("#", *SKIP)):
                            print(f"{page}: {line}", flush=True)
                            same = shared(line, Path(scratch))
                            text = known[line] if same and line in known else run(line, Path(scratch))
                            known |= {line: text} if same else {}
                            printed += text
                elif language == "python":
                    print(f"{page}: a block of Python", flush=True)
                    run_python(body, page)
                elif language == "yaml":
                    name = re.match(r"#\s*(\S+\.ya?ml)", body)
                    if name:
                        (Path(scratch) / name.group(1)).write_text(body, encoding="utf-8")
                elif language == "text" and printed:
                    flat = " ".join(printed.split())
                    for line in body.splitlines():
                        if line.strip() and "..." not in line and " ".join(line.split()) not in flat:
                            sys.exit(f"{page}: the sample line is not printed: {line!r}\n{printed}")


if __name__ == "__main__":
    main(sys.argv[1:])
