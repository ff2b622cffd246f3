"""The project's own files, for the lints."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CODE = (".h", ".c", ".cpp", ".cu", ".cuh", ".td", ".fbs", ".py", ".cmake")
TEXT = CODE + (".md", ".txt", ".mlir", ".test", ".toml", ".in", "")
# Data that scripts wrote.
DATA = ("test/golden/cases",)


def files(suffixes):
    """Yields (path from the root, text) of every file with one of the suffixes."""
    for folder, folders, names in os.walk(ROOT):
        relative = os.path.relpath(folder, ROOT)
        relative = "" if relative == "." else relative + "/"
        folders[:] = sorted(name for name in folders
                            if not (relative == "" and name.startswith(("build", ".venv", ".cache")))
                            and name not in (".git", "__pycache__")
                            and relative + name not in DATA
                            and "corpus" not in name.lower())
        for name in sorted(names):
            if name == ".git" or os.path.splitext(name)[1] not in suffixes or os.path.islink(folder + "/" + name):
                continue
            try:
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    yield relative + name, file.read()
            except UnicodeDecodeError:
                continue


def report(lint, errors, checked):
    """Prints what was found; the exit code of the lint."""
    for error in errors:
        print(error)
    print(f"{lint}: {checked} files, {len(errors)} errors")
    return 1 if errors else 0
