# Configuration of all lit tests. What depends on the build comes from lit.site.json in the build
# folder, which CMake writes: lit --param ingot_site=build/test/lit.site.json test/dialects
import json
import os

import lit.formats

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
site_path = lit_config.params.get("ingot_site", os.path.join(root, "build", "test", "lit.site.json"))
try:
    with open(site_path, encoding="utf-8") as file:
        site = json.load(file)
except OSError as error:
    lit_config.fatal(f"cannot read {site_path} ({error.strerror}); build first, or name the build's "
                     "file with --param ingot_site=BUILD/test/lit.site.json")

config.name = "ingot"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.join(root, "test")
config.test_exec_root = os.path.join(site["build"], "test")

config.environment["PATH"] = os.pathsep.join(site["tools"] + [config.environment["PATH"]])
for variable in site["environment"].split(";"):
    name, value = variable.split("=", 1)
    config.environment[name] = value
config.substitutions.append(("%python", site["python"]))
config.substitutions.append(("%root", root))
