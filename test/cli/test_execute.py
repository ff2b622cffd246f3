"""`run`, `generate`, `bench` and `inspect` of both tools: results and refusals."""
import json
import os
import shutil
import unittest

from support import (INTEGRITY, MALFORMED, UNSUPPORTED, USAGE, CliTest, model)

BERT, LLAMA = "bert-base", "llama-default"


class WithIngots(CliTest):
    def setUp(self):
        super().setUp()
        self.bert = self.compiled(BERT)
        self.llama = self.compiled(LLAMA, "--max-batch", "4", "--max-context", "64")


class Run(WithIngots):
    def test_printed(self):
        for tool in ("ingot", "ingot-run"):
            text = self.ok("run", self.llama, "--input", "input_ids=1,2,3", "--output", "logits",
                           tool=tool)
            self.assertIn("logits", text)

    def test_json(self):
        result = self.json("run", self.llama, "--input", "input_ids=1,2,3;4,5,6", "--output", "logits")
        self.assertTrue(result)

    def test_inputs(self):
        ids = "input_ids=1,2,3"
        for message, arguments in (
                ("input_ids", []), ("no_such", ["--input", ids, "--input", "no_such=1"]),
                ("97|range|vocabulary", ["--input", "input_ids=1,2,97"]),
                ("-1", ["--input", "input_ids=1,2,-1"]),
                ("attention_mask", ["--input", ids, "--input", "attention_mask=1,2,1"]),
                (".", ["--input", ids, "--input", "attention_mask=1,1"]),
                (".", ["--input", ids, "--input", ids]),
                (".", ["--input", "input_ids"]), (".", ["--input", "input_ids="]),
                (".", ["--input", "input_ids=1,x"]), (".", ["--input", "input_ids=1,,2"]),
                (".", ["--input", "input_ids=1,2;3"]),
                (".", ["--input", "input_ids=99999999999999999999"]),
                ("nothing.npy", ["--input", "input_ids=@" + self.path("nothing.npy")]),
                ("no_such", ["--input", ids, "--output", "no_such"]),
                (".", ["--input", ids, "--output", "logits=x.npy"]),
                (".", ["--input", ids, "--program", "no_such"]),
                (".", ["--input", "input_ids=" + ";".join(["1"] * 5)]),
                (".", ["--input", "input_ids=" + ",".join(["1"] * 65)])):
            with self.subTest(arguments):
                done = self.run_tool("run", self.llama, *arguments)
                self.assertIn(done.returncode, (USAGE, MALFORMED), done.stderr)
                self.assertRegex(done.stderr, message)

    def test_output_folder(self):
        done = self.run_tool("run", self.llama, "--input", "input_ids=1", "--output",
                             "logits=@" + self.path("no/such.npy"))
        self.assertNotIn(done.returncode, (0, 1), done.stderr)

    def test_flags(self):
        for flags in (["--repeat", "0"], ["--repeat", "x"], ["--threads", "0"],
                      ["--threads", "100000"]):
            with self.subTest(flags):
                self.fails(USAGE, flags[0], "run", self.llama, "--input", "input_ids=1", *flags)


class Weights(CliTest):
    def setUp(self):
        super().setUp()
        self.unbound = self.compiled(LLAMA, "--weights", "none")

    def test_needed(self):
        self.fails(USAGE, "--weights", "run", self.unbound, "--input", "input_ids=1", "--output",
                   "logits")

    def test_bound_equals_embedded(self):
        embedded = self.compiled(LLAMA)
        ask = ("--input", "input_ids=5,6,7,8", "--output", "logits", "--json")
        self.assertEqual(self.ok("run", embedded, *ask),
                         self.ok("run", self.unbound, "--weights", model(LLAMA), *ask))

    def test_surplus_is_refused_as_at_compile(self):
        folder = self.path("surplus")
        shutil.copytree(model(LLAMA), folder)
        path = os.path.join(folder, "model.safetensors")
        with open(path, "rb") as file:
            content = file.read()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8:8 + length])
        data = len(content) - 8 - length

        def write(name):
            more = {**header, name: {"dtype": "F32", "shape": [2], "data_offsets": [data, data + 8]}}
            text = json.dumps(more).encode()
            with open(path, "wb") as file:
                file.write(len(text).to_bytes(8, "little") + text + content[8 + length:] + bytes(8))

        ask = ("run", self.unbound, "--weights", folder, "--input", "input_ids=1")
        write("model.layers.0.self_attn.q_proj.lora")
        self.fails(MALFORMED, "q_proj.lora", *ask)
        self.fails(MALFORMED, "q_proj.lora", "compile", folder, "-o", self.path("x.ingot"))
        write("model.layers.0.self_attn.rotary_emb.inv_freq")
        self.ok(*ask)

    def test_random(self):
        ask = ("--input", "input_ids=5,6", "--output", "logits", "--json")
        one = self.ok("run", self.unbound, "--weights", "random:1", *ask)
        self.assertEqual(one, self.ok("run", self.unbound, "--weights", "random:1", *ask))
        self.assertNotEqual(one, self.ok("run", self.unbound, "--weights", "random:2", *ask))
        for seed in ("random:", "random:x", "random:-1", "random:18446744073709551616"):
            with self.subTest(seed):
                self.fails(USAGE, "random", "run", self.unbound, "--weights", seed, "--input",
                           "input_ids=1")

    def test_other_model(self):
        self.fails(MALFORMED, ".", "run", self.unbound, "--weights", model("llama-biases"), "--input",
                   "input_ids=1", "--output", "logits")
        done = self.run_tool("run", self.unbound, "--weights", self.path("nothing"), "--input",
                             "input_ids=1")
        self.assertIn(done.returncode, (USAGE, MALFORMED), done.stderr)


class Generate(WithIngots):
    def test_batch_equals_single(self):
        both = self.json("generate", self.llama, "--ids", "3,4,5,6", "--ids", "7", "--greedy",
                         "--max-new-tokens", "8")
        for row, prompt in zip(both["sequences"], ("3,4,5,6", "7")):
            alone = self.json("generate", self.llama, "--ids", prompt, "--greedy",
                              "--max-new-tokens", "8")
            self.assertEqual(row["tokens"], alone["sequences"][0]["tokens"])

    def test_seed(self):
        def draw(seed):
            return self.json("generate", self.llama, "--ids", "3,4,5", "--temperature", "1.5",
                             "--seed", str(seed), "--max-new-tokens", "16", "--ignore-eos",
                             "--top-k", "0")["sequences"][0]["tokens"]
        self.assertEqual(draw(1), draw(1))
        self.assertNotEqual(draw(1), draw(2))

    def test_tools_agree(self):
        ask = ("generate", self.llama, "--ids", "3,4,5", "--greedy", "--max-new-tokens", "4")
        ours, small = self.json(*ask), self.json(*ask, tool="ingot-run")
        self.assertEqual([row["tokens"] for row in ours["sequences"]],
                         [row["tokens"] for row in small["sequences"]])

    def test_context_ends(self):
        tokens = self.json("generate", self.llama, "--ids", ",".join(["3"] * 60), "--greedy",
                           "--max-new-tokens", "100", "--ignore-eos")["sequences"][0]["tokens"]
        self.assertLessEqual(len(tokens), 5)

    def test_refused(self):
        for ids in ("", "x", "1,x", "97", "-1", "1,,2", "99999999999999999999", "@/dev/null",
                    "@" + self.path("nothing"), ",".join(["1"] * 65)):
            with self.subTest(ids):
                done = self.run_tool("generate", self.llama, "--ids", ids)
                self.assertIn(done.returncode, (USAGE, MALFORMED), done.stderr)
                self.assertRegex(done.stderr, "^ingot: error: ")
        for flags in (["--temperature", "-1"], ["--temperature", "nan"], ["--top-p", "2"],
                      ["--top-k", "-1"], ["--min-p", "-0.1"], ["--repetition-penalty", "-1"],
                      ["--max-new-tokens", "0"], ["--seed", "-1"], ["--eos", "x"],
                      ["--greedy", "--sample"]):
            with self.subTest(flags):
                self.fails(USAGE, ".", "generate", self.llama, "--ids", "1", *flags)

    def test_encoder(self):
        done = self.run_tool("generate", self.bert, "--ids", "1")
        self.assertIn(done.returncode, (USAGE, UNSUPPORTED), done.stderr)


class Bench(WithIngots):
    def test_cases(self):
        for tool in ("ingot", "ingot-run"):
            text = self.ok("bench", self.llama, "--runs", "2", "--decode", "1x16", "--prefill",
                           "2x32", "--forward", "2x8@50", tool=tool)
            for case in ("decode 1x16", "prefill 2x32", "forward 2x8@50"):
                self.assertIn(case, text)

    def test_json(self):
        result = self.json("bench", self.bert, "--runs", "3", "--forward", "2x8@50")
        case, = result["cases"]
        self.assertEqual((case["rows"], case["length"], case["tokens"], case["runs"]), (2, 8, 8, 3))
        self.assertLessEqual(case["min_seconds"], case["median_seconds"])
        self.assertLessEqual(case["median_seconds"], case["max_seconds"])

    def test_refusals(self):
        for message, arguments in (
                ("--forward", []), ("context", ["--decode", "1x64"]), ("B", ["--decode", "5x3"]),
                ("ROWSxTOKENS", ["--prefill", "1"]), ("ROWSxTOKENS", ["--prefill", "1x8@50"]),
                ("ROWSxTOKENS", ["--forward", "0x8"]), ("PERCENT", ["--forward", "1x8@101"]),
                (".", ["--forward", "1x8", "--runs", "0"])):
            with self.subTest(arguments):
                done = self.run_tool("bench", self.llama, *arguments)
                self.assertEqual(done.returncode, USAGE, done.stderr)
                self.assertRegex(done.stderr, message)
        done = self.run_tool("bench", self.bert, "--decode", "1x3")
        self.assertEqual(done.returncode, USAGE, done.stderr)
        self.assertIn("--forward", done.stderr)


class Inspect(WithIngots):
    SECTIONS = ("plan", "programs", "kernels", "weights", "memory", "code")

    def test_sections(self):
        for section in self.SECTIONS:
            with self.subTest(section):
                self.assertTrue(self.ok("inspect", self.llama, "--section", section))
                self.assertTrue(self.json("inspect", self.llama, "--section", section))

    def test_summary(self):
        text = self.ok("inspect", self.bert)
        for word in ("bert", "forward", "input_ids", "attention_mask", "last_hidden_state", "x86-64"):
            self.assertIn(word, text)
        self.assertTrue(self.json("inspect", self.bert))

    def test_same_in_both_tools(self):
        self.assertEqual(self.ok("inspect", self.llama, "--json"),
                         self.ok("inspect", self.llama, "--json", tool="ingot-run"))

    def test_debug(self):
        path = self.compiled(BERT, "--debug-info")
        self.assertIn("transformer.program", self.ok("inspect", path, "--section", "debug"))

    def test_attention(self):
        rows = self.json("inspect", self.llama, "--section", "attention")["attention"]
        self.assertEqual({row["program"] for row in rows}, {"forward", "step"})
        # What is compiled is what is predicted for the folder.
        self.assertEqual(self.json("inspect", model(LLAMA), "--section", "attention")["attention"], rows)
        rows = self.json("inspect", model(LLAMA), "--section", "attention", "--attention", "efficient",
                         "--attention", "math:1")["attention"]
        self.assertEqual({(row["layers"], row["back end"], row["reason"]) for row in rows},
                         {("0", "efficient", "asked for by --attention efficient"),
                          ("1", "math", "asked for by --attention math:1")})
        self.assertRegex(self.ok("inspect", self.llama, "--section", "attention"), "back end +reason")
        self.fails(USAGE, "by itself", "inspect", self.llama, "--section", "attention,plan")

    def check_graph(self, graph):
        """Nodes in the order in which they run; each edge from an output of one before. Gives the namespaces."""
        outputs = {}
        for node in graph["nodes"]:
            self.assertNotIn(node["id"], outputs)
            self.assertTrue(node["label"])
            for number, edge in enumerate(node["incomingEdges"]):
                self.assertEqual(edge["targetNodeInputId"], str(number))
                self.assertIn(edge["sourceNodeOutputId"], outputs[edge["sourceNodeId"]], node)
            for item in node["attrs"] + [a for o in node["outputsMetadata"] for a in o["attrs"]]:
                self.assertEqual({"key", "value"}, set(item))
                self.assertIsInstance(item["value"], str)
            outputs[node["id"]] = {output["id"] for output in node["outputsMetadata"]}
        # Whatever is computed is used.
        used = {edge["sourceNodeId"] for node in graph["nodes"] for edge in node["incomingEdges"]}
        for node in graph["nodes"]:
            if node["id"].startswith("step") and not any(a["key"] == "module" and "self_attn" in a["value"]
                                                         for a in node["attrs"]):
                self.assertIn(node["id"], used, node)
        return {node["namespace"] for node in graph["nodes"]}

    def test_graph(self):
        # What Model Explorer takes: a collection of graphs with nodes that name their incoming edges.
        collection = json.loads(self.ok("inspect", self.llama, "--section", "graph", "--format", "json"))
        self.assertEqual(collection["label"], "llama")
        self.assertEqual([graph["id"] for graph in collection["graphs"]], ["forward", "step"])
        edges = 0
        for graph in collection["graphs"]:
            namespaces = self.check_graph(graph)
            self.assertIn("model/layers/0/self_attn", namespaces)
            self.assertIn("model/layers/1", namespaces)
            edges += sum(len(node["incomingEdges"]) for node in graph["nodes"])
        dot = self.ok("inspect", self.llama, "--section", "graph", "--format", "dot")
        self.assertEqual(dot, self.ok("inspect", self.llama, "--section", "graph"))
        self.assertRegex(dot, r"^digraph ingot \{")
        self.assertEqual(dot.count(" -> "), edges)
        self.assertEqual(dot.count("subgraph cluster_"), 2)
        self.assertEqual(dot.count("{"), dot.count("}"))
        self.fails(USAGE, "dot|json", "inspect", self.llama, "--section", "graph", "--format", "svg")

    def test_section_names(self):
        self.fails(USAGE, r"did you mean 'kernels'\?", "inspect", self.llama, "--section", "kernel")
        self.fails(USAGE, ".", "inspect", self.llama, "--section", "nothing")
        self.fails(USAGE, "model folder", "inspect", model(BERT), "--section", "plan")

    def test_model(self):
        described = self.json("inspect", model("qwen3-qknorm"))
        self.assertEqual(described["model_type"], "qwen3")
        self.assertEqual(described["structure"]["qk_norm"], True)
        self.assertGreater(described["parameters"], 1000)
        self.assertIn("qwen3", self.ok("inspect", model("qwen3-qknorm")))

    def test_refused(self):
        with open(self.path("text"), "w", encoding="utf-8") as file:
            file.write("no ingot")
        self.fails(MALFORMED, "ingot", "inspect", self.path("text"))
        done = self.run_tool("inspect", self.path("nothing"))
        self.assertIn(done.returncode, (USAGE, MALFORMED), done.stderr)
        short = self.path("short.ingot")
        shutil.copy(self.llama, short)
        os.truncate(short, os.path.getsize(short) - 1)
        self.fails(INTEGRITY, ".", "inspect", short)

    def test_json_error(self):
        with open(self.path("text"), "w", encoding="utf-8") as file:
            file.write("no ingot")
        done = self.run_tool("inspect", self.path("text"), "--json")
        self.assertEqual(json.loads(done.stdout)["error"]["code"], MALFORMED)


if __name__ == "__main__":
    unittest.main()
