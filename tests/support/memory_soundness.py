"""Looks a file of memories over for whatever a crash or a race could have left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from rlm_runtime.memory.words import searchable

__all__ = ["assert_sound"]

_COUNTS = """
SELECT memory_id, accessed, succeeded, failed,
       (SELECT count(*) FROM memory_usage AS u WHERE u.memory_id = i.memory_id),
       (SELECT count(*) FROM memory_usage AS u WHERE u.memory_id = i.memory_id AND u.success),
       (SELECT count(*) FROM memory_usage AS u WHERE u.memory_id = i.memory_id AND NOT u.success)
  FROM memory_items AS i
"""
_TEXTS = """
SELECT item, title, description, content, iif(kind = 'exemplar', query, ''),
       (SELECT coalesce(group_concat(tag, ' '), '')
          FROM (SELECT tag FROM memory_tags AS t WHERE t.memory_id = i.memory_id ORDER BY tag))
  FROM memory_items AS i ORDER BY item
"""


def assert_sound(path: Path) -> None:
    """Check the file, its references, its index of words, and counts against what they count."""
    with closing(sqlite3.connect(path, timeout=30)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO memory_fts (memory_fts) VALUES ('integrity-check')")
        indexed = db.execute("SELECT rowid, * FROM memory_fts ORDER BY rowid").fetchall()
        assert indexed == [(item, *map(searchable, texts)) for item, *texts in db.execute(_TEXTS)]
        for known, *counts in db.execute(_COUNTS):
            assert counts[:3] == counts[3:], known
        assert not db.execute(
            "SELECT run_id FROM memory_usage LEFT JOIN judgments USING (run_id)"
            " WHERE memory_usage.success IS NOT judgments.success"
        ).fetchall()
