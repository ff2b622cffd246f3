"""tools/setup/static: an `ingot` that needs nothing of LLVM where it runs."""
import os
import subprocess
import unittest

from support import ROOT, TOOLS, CliTest, model


class Static(CliTest):
    def test_runs_alone(self):
        program = self.path("ingot")
        done = subprocess.run([os.path.join(ROOT, "tools", "setup", "static"), os.path.dirname(TOOLS), program],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for library in ("LLVM", "MLIR", "stdc++"):
            self.assertNotIn(library, libraries)
        # It compiles, links what it compiled, and runs it.
        done = subprocess.run([program, "verify", model("bert-base"), "--pass", "fold-constants"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
