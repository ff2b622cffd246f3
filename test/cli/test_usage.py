"""Command lines that nobody meant: exit code 2, what is wrong, and what was probably meant."""
import unittest

from support import USAGE, CliTest

COMMANDS = ("compile", "run", "generate", "inspect")


class Usage(CliTest):
    def test_no_command(self):
        self.fails(USAGE, r"subcommand is required(.|\n)*Try 'ingot --help'")

    def test_unknown_command(self):
        self.fails(USAGE, r"did you mean 'compile'\?", "compil", "x")
        self.fails(USAGE, r"did you mean 'inspect'\?", "insepct", "x")

    def test_unknown_flag(self):
        self.fails(USAGE, r"--max-bacth(.|\n)*did you mean '--max-batch'\?", "compile", "x", "-o",
                   "y", "--max-bacth", "3")
        self.fails(USAGE, r"did you mean '--temperature'\?(.|\n)*Try 'ingot generate --help'",
                   "generate", "x", "--ids", "1", "--temprature=1")
        for command in COMMANDS:
            with self.subTest(command):
                self.fails(USAGE, "--no-such-flag", command, "x", "--no-such-flag")

    def test_missing_positional(self):
        self.fails(USAGE, "MODEL is required", "compile")
        for command in COMMANDS[1:]:
            with self.subTest(command):
                self.fails(USAGE, "FILE is required", command)

    def test_missing_value(self):
        self.fails(USAGE, "--max-batch", "compile", "x", "-o", "y", "--max-batch")
        self.fails(USAGE, "--ids", "generate", "x")

    def test_surplus_positional(self):
        self.fails(USAGE, "not expected", "compile", "x", "y", "-o", "z")

    def test_help(self):
        self.assertIn("Examples:", self.ok("--help"))
        self.assertIn("Exit codes:", self.ok("--help"))
        for command in COMMANDS:
            with self.subTest(command):
                text = self.ok(command, "--help")
                self.assertIn("Examples:", text)
                self.assertIn(f"ingot {command}", text)
                self.assertIn("--json", text)

    def test_version(self):
        self.assertRegex(self.ok("--version"), r"^ingot \d+\.\d+\.\d+\n$")

    def test_strange_bytes(self):
        for argument in ("\x01\x1b[31m", "--\u00fc", "-" * 5000, "%s%n", ""):
            with self.subTest(argument):
                done = self.run_tool(argument)
                self.assertEqual(done.returncode, USAGE, done.stderr)


if __name__ == "__main__":
    unittest.main()
