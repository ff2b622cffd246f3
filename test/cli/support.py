"""What the command-line tests share: running a tool and checking how it ends."""
import atexit
import functools
import json
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "test", "golden", "cases")
TOOLS = os.environ.get("INGOT_TOOLS", os.path.join(ROOT, "build", "bin"))
OK, INTERNAL, USAGE, MALFORMED, UNSUPPORTED, ACCURACY, INTEGRITY, DEVICE, RESOURCES = range(9)


def model(case):
    return os.path.join(GOLDEN, case, "model")


class CliTest(unittest.TestCase):
    """Each test has a fresh folder, `self.work`."""
    tool = "ingot"
    longMessage = True
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.work = folder.name

    def path(self, name):
        return os.path.join(self.work, name)

    def run_tool(self, *arguments, tool=None, env=None, **options):
        environment = {**os.environ, "TERM": "dumb", **(env or {})}
        return subprocess.run([os.path.join(TOOLS, tool or self.tool), *arguments], timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=environment, **options)

    def ok(self, *arguments, **options):
        done = self.run_tool(*arguments, **options)
        self.assertEqual(done.returncode, OK, f"{arguments}: {done.stderr}")
        return done.stdout

    def json(self, *arguments, **options):
        return json.loads(self.ok(*arguments, "--json", **options))

    def fails(self, code, message, *arguments, **options):
        """The command ends with `code` and an error that matches `message`; stdout stays empty."""
        done = self.run_tool(*arguments, **options)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stderr}")
        self.assertRegex(done.stderr, r"^ingot(-run)?: error: ")
        self.assertRegex(done.stderr, message)
        self.assertEqual(done.stdout, "")
        return done.stderr

    @classmethod
    def compiled(cls, case, *options):
        """An ingot that all tests of this process share."""
        return compile_once(case, *options)


@functools.cache
def shared_folder():
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return folder.name


@functools.cache
def compile_once(case, *options):
    output = os.path.join(shared_folder(), f"{len(os.listdir(shared_folder()))}-{case}.ingot")
    subprocess.run([os.path.join(TOOLS, "ingot"), "compile", model(case), "-o", output, *options],
                   check=True, stdout=subprocess.DEVNULL)
    return output
