"""The JSONL log loses nothing, is shared safely, and is read back honestly."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime.errors import LogFormatError
from rlm_runtime.logging.jsonl import JsonlSink, LogReader
from rlm_runtime.plain import plain

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def event(seq: int, **more: object) -> dict:
    return {
        "v": 1,
        "seq": seq,
        "ts": "2026-01-01T00:00:00.000000Z",
        "event": "warning",
        "run_id": "r",
        "trajectory_id": "r",
        "span_id": None,
        "parent_id": None,
        "category": "test",
        "message": "",
        **more,
    }


@settings(deadline=None, max_examples=60)
@given(payloads=st.lists(json_values, max_size=5))
def test_whatever_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[object]
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    sink = JsonlSink(path)
    events = [event(n, payload=plain(payload)) for n, payload in enumerate(payloads)]
    for one in events:
        sink.emit(one)
    sink.close()
    assert list(LogReader(path)) == events


def test_lone_surrogates_survive(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "log.jsonl")
    sink.emit(event(0, text="half a pair: \ud83d"))
    sink.close()
    assert next(iter(LogReader(tmp_path / "log.jsonl")))["text"] == "half a pair: \ud83d"


@settings(deadline=None, max_examples=60)
@given(cut=st.integers(min_value=1, max_value=400))
def test_a_torn_last_line_is_skipped_and_reported(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    sink = JsonlSink(path)
    for n in range(3):
        sink.emit(event(n, params={"text": {"x": "x" * 100}}))
    sink.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    reader = LogReader(path)
    kept = list(reader)
    *complete, rest = whole[:-cut].split(b"\n")
    # Only its line break may be missing from a last line that counts.
    complete += [rest] if whole[-cut:].startswith(b"\n") else []
    assert [e["seq"] for e in kept] == list(range(len(complete)))
    assert reader.torn == ([len(complete) + 1] if rest and rest not in complete else [])


def test_a_line_cut_short_by_a_full_disk_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    sink = JsonlSink(path)
    sink.emit(event(0))
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Beyond this size the system refuses to write, as on a full disk.
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            sink.emit(event(1, text="x" * 500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    sink.emit(event(2))
    sink.close()
    reader = LogReader(path)
    assert [e["seq"] for e in reader] == [0, 2]
    assert reader.torn == [2]


def test_a_new_run_begins_on_its_own_line_behind_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"v": 1, "seq": 0, "eve')
    sink = JsonlSink(path)
    sink.emit(event(0))
    sink.close()
    reader = LogReader(path)
    assert [e["seq"] for e in reader] == [0]
    assert reader.torn == [1]


def test_runs_share_a_file_and_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.jsonl"
    start = threading.Barrier(4)

    def write(name: str) -> None:
        sink = JsonlSink(path)
        start.wait()
        for n in range(100):
            sink.emit({**event(n), "run_id": name, "text": "y" * 3000})
        sink.close()

    threads = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(4):
        assert [e["seq"] for e in LogReader(path, run_id=f"r{n}")] == list(range(100))


def test_a_killed_process_leaves_all_that_it_emitted(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    code = (
        "import sys\n"
        "from rlm_runtime.logging.jsonl import JsonlSink\n"
        "from rlm_runtime.logging.stream import EventStream\n"
        f"stream = EventStream('r', 'r', [JsonlSink({str(path)!r})])\n"
        "for n in range(10**9):\n"
        "    stream.emit('warning', None, None, category='test', message='z' * 500)\n"
        "    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = -1
        for line in process.stdout:
            told = int(line)
            if told >= 50:
                os.kill(process.pid, signal.SIGKILL)
                break
        rest = process.stdout.read().split()
        told = int(rest[-1]) if rest else told
    kept = [e["seq"] for e in LogReader(path)]
    assert kept == list(range(len(kept)))
    assert len(kept) > told


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("not json at all", "no JSON"),
        ('["a", "list"]', "no event"),
        ('{"some": "object"}', "no event"),
        (json.dumps({"v": 99, "event": "warning"}), "schema version 99"),
        (json.dumps({"v": 1, "event": "lm_end"}), "lacks seq, .*usage"),
    ],
)
def test_what_is_no_log_is_named_with_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(event(0)) + "\n" + line + "\n")
    with pytest.raises(LogFormatError, match=f"line 2: .*{complaint}"):
        list(LogReader(path))


def test_a_missing_log_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match="Cannot read the log"):
        list(LogReader(tmp_path / "none.jsonl"))
