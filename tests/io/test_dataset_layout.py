import os
from pathlib import Path

import pytest

from kgraft.errors import DataError, KgraftWarning
from kgraft.io.dataset_layout import is_layout, layout_links, read_layout


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


FULL = {
    "entity/aa.tsv": "http://x/resource/A_1\n" + 2 * "http://x/resource/B\n" + "never used\n",
    "entity/bb.tsv": "a\tThe A\nb\tThe B\n",
    "kg/aa-train.tsv": "0\t0\t1\n0\t0\t1\n1.0\t1\t2\n",
    "kg/aa-val.tsv": "2\t1\t0\n",
    "kg/aa-test.tsv": "2\t0\t1\n",
    "kg/bb-train.tsv": "0\t1\t1\n",
    "kg/bb-valid.tsv": "1\t1\t0\n",
    "relations.txt": "p\nq\nnever used\n",
    "seed_alignlinks/bb-aa.tsv": "0\t1\n",
}


def test_a_full_directory(tmp_path: Path) -> None:
    directory = write(tmp_path, FULL)
    assert is_layout(directory)
    graphs = read_layout(directory)
    aa, bb = graphs["aa"], graphs["bb"]
    assert list(graphs) == ["aa", "bb"]
    assert aa.entities.names.to_list() == [
        "http://x/resource/A_1",
        "http://x/resource/B",
        "http://x/resource/B#2",
        "never used",
    ]
    assert aa.train.tolist() == [[0, 0, 1], [1, 1, 2]]
    assert (aa.valid.tolist(), aa.test.tolist()) == ([[2, 1, 0]], [[2, 0, 1]])
    assert aa.duplicates == 1
    assert aa.label(0) == "A 1"
    assert aa.label(3) == "never used"
    assert bb.valid.tolist() == [[1, 1, 0]]
    assert bb.test.shape == (0, 3)
    assert [bb.label(0), bb.label(1)] == ["The A", "The B"]
    for graph in graphs.values():
        assert graph.relations.names.to_list() == ["p", "q", "never used"]
    assert layout_links(directory) == [("bb", "aa", directory / "seed_alignlinks" / "bb-aa.tsv")]


def test_without_entity_and_relation_files_ids_are_names(tmp_path: Path) -> None:
    directory = write(
        tmp_path,
        {
            "kg/a-train.tsv": "0\t0\t1\n",
            "kg/a-test.tsv": "1\t0\t2\n",
            "kg/b-train.tsv": "0\t4\t1\n",
            "kg/c-train.tsv": "0\t0\t1\n",
            "seed_alignlinks/a-b.tsv": "0.0\t5.0\n1.0\t0.0\n",
        },
    )
    graphs = read_layout(directory)
    assert {name: len(graph.entities) for name, graph in graphs.items()} == {"a": 3, "b": 6, "c": 2}
    assert graphs["b"].entities.name(5) == "b:5"
    assert graphs["c"].relations.names.to_list() == ["0", "1", "2", "3", "4"]
    assert graphs["a"].labels is None


def test_six_graphs_and_names_with_hyphens(tmp_path: Path) -> None:
    names = ["a", "b", "c", "zh-cn", "zh", "cn-tw"]
    write(tmp_path, {f"kg/{name}-train.tsv": "0\t0\t1\n" for name in names})
    write(tmp_path, {"seed_alignlinks/zh-cn-a.tsv": "0\t0\n", "seed_alignlinks/b-zh.tsv": "0\t0\n"})
    assert list(read_layout(tmp_path)) == sorted(names)
    assert [pair[:2] for pair in layout_links(tmp_path)] == [("b", "zh"), ("zh-cn", "a")]


def test_something_else_is_no_layout(tmp_path: Path) -> None:
    assert not is_layout(tmp_path)
    assert not is_layout(tmp_path / "none")
    with pytest.raises(DataError, match=r"no kg/XX-train\.tsv"):
        read_layout(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "line", "problem"),
    [
        ("kg/aa-train.tsv", "0\t0\t1\n0\t0\t4\n", 2, "the tail is 4, outside 0 to 3"),
        ("kg/aa-val.tsv", "0\t3\t1\n", 1, "the relation is 3, outside 0 to 2"),
        ("kg/aa-test.tsv", "0\t0\tx\n", 1, "the tail is 'x', not a whole number"),
        ("kg/bb-train.tsv", "0\t0\n", 1, "expected 3 columns"),
        ("kg/bb-train.tsv", "", None, "no rows"),
    ],
)
def test_bad_files(tmp_path: Path, file: str, content: str, line: int | None, problem: str) -> None:
    directory = write(tmp_path, {**FULL, file: content})
    with pytest.raises(DataError, match=problem) as caught:
        read_layout(directory)
    assert (caught.value.path, caught.value.line) == (str(directory / file), line)


def test_train_that_repeats_test_is_warned_of(tmp_path: Path) -> None:
    directory = write(tmp_path, {**FULL, "kg/aa-test.tsv": "1\t1\t2\n"})
    with pytest.warns(KgraftWarning, match=r"aa-train\.tsv, line 3: train of 'aa' repeats 1"):
        graphs = read_layout(directory)
    assert graphs["aa"].train.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("aa-zz.tsv", "does not name two of the graphs aa, bb"),
        ("aa.tsv", "does not name two"),
        ("aa-aa.tsv", "does not name two"),
        ("aa-bb.tsv", "already links"),
    ],
)
def test_bad_link_files(tmp_path: Path, file: str, problem: str) -> None:
    directory = write(tmp_path, {**FULL, f"seed_alignlinks/{file}": "0\t0\n"})
    with pytest.raises(DataError, match=problem):
        layout_links(directory)


@pytest.mark.skipif("KGRAFT_DATA" not in os.environ, reason="KGRAFT_DATA does not name real data")
def test_dbp5l_as_published() -> None:
    directory = Path(os.environ["KGRAFT_DATA"]) / "dbp5l"
    graphs = read_layout(directory)
    sizes = {name: (len(g.entities), len(g.triples)) for name, g in graphs.items()}
    assert sizes == {
        "el": (5231, 13839),
        "en": (13996, 80167),
        "es": (12381, 54066),
        "fr": (13176, 49015),
        "ja": (11805, 28774),
    }
    assert {len(graph.relations) for graph in graphs.values()} == {960}
    assert graphs["el"].label(0) == "(500) Μέρες με τη Σάμερ"
    assert len(layout_links(directory)) == 10
