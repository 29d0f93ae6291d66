"""Who may import whom, and what must never appear: checked on the source, and once in a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mmretrieval"
APPS = PACKAGE.parent / "apps"
HEAVY = ("torch", "open_clip", "transformers", "faiss", "gradio", "pyarrow", "onnx", "onnxruntime")

# A module imports only from its own level or lower ones; a name without dots covers the package of that name.
LEVELS = {
    0: "errors types asks vectors registry protocols untrusted",
    1: """stages driver watching under_way pacing glue ordering verdicts answers chains choosing parsing windows
          composition prompts list_prompts caption_text describing fusion
          specs filters storage segments full_text lexicon remembering catalog features described
          manifest lock scan ledger ids plan changes lookahead order records roots ready_vectors vector_writer
          images pixels sheet reading sniff quiet looking batches creation compaction demo.draw_animals demo.draw_food
          demo.draw_ingredients demo.draw_nature demo.edits demo.pen demo.render demo.sample demo.scenes
          demo.vocabulary demo.wording canary hub devices model_noise benchmarks
          reference pooling transcript budget recording reply_cache evaluation.queries evaluation.runs""",
    2: "encoders indexes rewriters first_stages refiners rerankers mllms datasets",
    3: """collection checked_encoder encoder_names mllm_names mllm_checkup calls indexing indexing_vectors preparing
          pipeline planner planned named_stages given_run captions captioning correcting opening finishing cutoff
          stand_ins near_duplicates evaluation demo training""",
    4: "searcher making presets bench demo.tour cli web __init__ __main__",
}
LEVEL_OF = {room: level for level, rooms in LEVELS.items() for room in rooms.split()}
METHODS = frozenset(LEVELS[2].split())


def sources(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(file: Path, *, at_start_only: bool = False) -> set[str]:
    """Full names of what a module imports, without what stands under TYPE_CHECKING."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if is_for_types_only(node):
            return
        if at_start_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree(file))
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def level(module: str) -> int:
    """Of the module itself if it is listed, else of its room."""
    return LEVEL_OF.get(module.partition(".")[2], LEVEL_OF[room(module)])


def own_modules() -> dict[str, Path]:
    return {module_name(file): file for file in sources()}


def test_every_module_has_a_level():
    """A new room is added to LEVELS, at the lowest level its imports allow."""
    assert {room(name) for name in own_modules()} - LEVEL_OF.keys() == set()


def test_modules_import_only_from_their_own_level_or_lower_ones():
    known = own_modules()
    pairs = [(name, target) for name, file in known.items() for target in imports(file) & known.keys()]
    assert [pair for pair in pairs if level(pair[1]) > level(pair[0])] == []


def test_methods_never_import_each_other():
    """A method file may import private neighbours (`_name`) and its own package, no other method."""
    known = own_modules()
    wrong = []
    for name, file in known.items():
        if room(name) not in METHODS or name.count(".") < 2:
            continue
        for target in imports(file) & known.keys():
            stem = target.rpartition(".")[2]
            same_package = room(target) == room(name)
            if room(target) in METHODS and target != name and not (same_package and stem.startswith("_")):
                if target.count(".") == 1 and same_package:
                    continue
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    known = own_modules()
    graph = {name: imports(file, at_start_only=True) & known.keys() - {name} for name, file in known.items()}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for target in sorted(graph[name]):
            walk(target, (*path, name))
        done.add(name)

    for name in graph:
        walk(name, ())


def test_apps_use_the_package_from_above_only():
    rooms = {"errors", "types", "registry", "images"}
    used = {target for file in sources(APPS) for target in imports(file) & own_modules().keys()}
    assert {target for target in used if level(target) < 3 and room(target) not in rooms} == set()


@pytest.mark.parametrize("file", [*sources(), *sources(APPS)], ids=lambda file: str(file.relative_to(PACKAGE.parent)))
def test_nothing_is_printed_pickled_or_run_from_a_hub(file):
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "eval", "exec"), f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "trust_remote_code"):
            assert isinstance(node.value, ast.Constant), f"line {node.value.lineno}"
            assert node.value.value is False, f"line {node.value.lineno}"
    unsafe = {"pickle", "dill", "joblib", "shelve", "marshal"}
    assert {name.split(".")[0] for name in imports(file)} & unsafe == set()


def test_no_file_is_a_drawer_for_anything():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    assert [file.name for file in sources() if file.stem in drawers] == []


def test_no_file_exceeds_the_length_one_idea_needs():
    assert {module_name(file): n for file in sources() if (n := len(file.read_text("utf-8").splitlines())) > 300} == {}


def test_no_function_is_longer_than_sixty_lines():
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    long = [
        f"{module_name(file)}.{node.name}"
        for file in sources()
        for node in ast.walk(tree(file))
        if isinstance(node, functions) and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


def loaded_after(code: str) -> set[str]:
    report = "import sys; sys.stderr.write(chr(10) + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_after("import mmretrieval; mmretrieval.Query(text='a'); mmretrieval.Pipeline")
    assert loaded & {*HEAVY, "typer", "rich", "PIL"} == set()
