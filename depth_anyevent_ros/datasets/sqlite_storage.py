# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One SQLite file (.db3) of a rosbag2 recording."""
from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import shutil
import sqlite3
import tempfile

from depth_anyevent_ros.datasets.bag_types import BagError, RawMessage, TopicInfo
from depth_anyevent_ros.datasets.sqlite_salvage import salvage_messages, SalvagedMessages

SQLITE_MAGIC = b'SQLite format 3\x00'


class SqliteFile:
    """
    A rosbag2 SQLite file of any schema version (1 to 4), read only.

    A file that is cut short or damaged gives the messages that are whole. topics: by name;
    start_ns, end_ns: times of the first and last message or None; truncated: whether something
    was lost.
    warnings: the list that takes sentences on what is odd.
    """

    kind = 'sqlite3'

    def __init__(self, path: Path, warnings: list[str]) -> None:
        self.path = path
        self.warnings = warnings
        self.truncated = False
        self.start_ns: int | None = None
        self.end_ns: int | None = None
        self.topics: dict[str, TopicInfo] = {}
        self._topic_of_id: dict[int, tuple[str, str]] = {}
        self._salvaged: SalvagedMessages | None = None
        self._copy: tempfile.TemporaryDirectory | None = None
        self._database = path
        self._uri_options = 'mode=ro'
        self._open()

    def close(self) -> None:
        """Remove the private copy, where one was needed."""
        if self._copy is not None:
            self._copy.cleanup()

    def messages(self, topics: set[str] | None = None,
                 start_ns: int | None = None) -> Iterator[RawMessage]:
        """Iterate over the messages in time order, from start_ns (nanoseconds) on."""
        wanted = {key: names for key, names in self._topic_of_id.items()
                  if topics is None or names[0] in topics}
        if not wanted:
            return
        last = None
        if self._salvaged is None:
            try:
                for key, topic_id, timestamp, data in self._query(wanted, start_ns):
                    if not (isinstance(data, bytes) and isinstance(timestamp, int)):
                        raise sqlite3.DatabaseError('there is a message that is none')
                    last = (timestamp, key)
                    yield RawMessage(*wanted[topic_id], timestamp, bytes(data))
                return
            except sqlite3.DatabaseError as error:
                self._salvage(f'reading stopped with "{error}"')
        for timestamp, topic_id, data in self._salvaged.messages(set(wanted), start_ns, last):
            yield RawMessage(*wanted[topic_id], timestamp, data)

    def _query(self, wanted: dict[int, tuple[str, str]],
               start_ns: int | None) -> Iterator[tuple[int, int, int, bytes]]:
        # The key second makes the order of equal times the order of recording; rosbag2's index
        # on the time holds both, so nothing has to be sorted.
        marks = ','.join('?' for _ in wanted)
        query = f'SELECT id, topic_id, timestamp, data FROM messages WHERE topic_id IN ({marks})'
        values = list(wanted)
        if start_ns is not None:
            query += ' AND timestamp >= ?'
            values.append(start_ns)
        with contextlib.closing(self._connect()) as connection:
            yield from connection.execute(query + ' ORDER BY timestamp, id', values)

    def _connect(self) -> sqlite3.Connection:
        # A connection for each use, so that threads and iterators do not meet. as_uri escapes
        # the characters that mean something in a URI.
        uri = f'{self._database.absolute().as_uri()}?{self._uri_options}'
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        # Without this SQLite opens no file that is shorter than its header says.
        connection.execute('PRAGMA writable_schema=ON')
        return connection

    def _open(self) -> None:
        self._make_readable()
        missing = self._missing_bytes()
        try:
            rows = self._read_topics()
        except sqlite3.DatabaseError as error:
            raise BagError(
                f'{self.path} cannot be read as a rosbag2 SQLite file ("{error}"); its first '
                'pages are missing or damaged.') from error
        self._topic_of_id = {key: (name, message_type) for key, name, message_type in rows}
        if missing:
            self._salvage(f'{missing} bytes are missing at its end')
            return
        try:
            counts = self._count()
        except sqlite3.DatabaseError as error:
            self._salvage(f'counting its messages stopped with "{error}"')
            return
        self._set_topics(counts)

    def _set_topics(self, counts: dict[int, int]) -> None:
        # A topic may have several rows, as when two publishers offered other QoS.
        totals: dict[str, int] = {}
        types: dict[str, str] = {}
        for key, (name, message_type) in self._topic_of_id.items():
            totals[name] = totals.get(name, 0) + counts.pop(key, 0)
            if types.setdefault(name, message_type) != message_type:
                self.warnings.append(
                    f'{self.path.name} has topic {name} with the types {types[name]} and '
                    f'{message_type}; each message keeps its own.')
        self.topics = {name: TopicInfo(name, types[name], total)
                       for name, total in totals.items()}
        if counts:
            self.warnings.append(
                f'{self.path.name} holds {sum(counts.values())} messages of topics that it does '
                'not name; they are left out.')

    def _read_topics(self) -> list[tuple[int, str, str]]:
        with contextlib.closing(self._connect()) as connection:
            tables = {name for name, in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {'topics', 'messages'} <= tables:
                raise BagError(
                    f'{self.path} is a SQLite file without the tables topics and messages of '
                    f'rosbag2 (it has {", ".join(sorted(tables)) or "none"}), or is cut short '
                    'before them.')
            rows = connection.execute('SELECT id, name, type FROM topics ORDER BY id').fetchall()
        # SQLite fills a page that is cut in two with zeros, which gives rows of nothing.
        return [row for row in rows if isinstance(row[1], str) and isinstance(row[2], str)]

    def _count(self) -> dict[int, int]:
        with contextlib.closing(self._connect()) as connection:
            rows = connection.execute(
                'SELECT topic_id, COUNT(*), MIN(timestamp), MAX(timestamp) FROM messages '
                'GROUP BY topic_id').fetchall()
        # A page that was overwritten may still be one that SQLite can read.
        if not all(isinstance(value, int) for row in rows for value in row):
            raise sqlite3.DatabaseError('there are topics or times that are no numbers')
        self.start_ns = min((first for _, _, first, _ in rows), default=None)
        self.end_ns = max((last for _, _, _, last in rows), default=None)
        return {topic_id: count for topic_id, count, _, _ in rows}

    def _missing_bytes(self) -> int:
        # https://www.sqlite.org/fileformat.html, database header: the size in pages at 28 is
        # valid only while the counters at 24 and 92 agree.
        with self.path.open('rb') as file:
            header = file.read(100)
        if header[24:28] != header[92:96]:
            return 0
        page_size = int.from_bytes(header[16:18], 'big')
        page_size = 65536 if page_size == 1 else page_size
        size = self.path.stat().st_size
        return max(0, int.from_bytes(header[28:32], 'big') * page_size - size)

    def _salvage(self, reason: str) -> None:
        if self._salvaged is None:
            self._salvaged = salvage_messages(self.path)
            self.truncated = True
            self.warnings.append(
                f'{self.path.name} is cut short or damaged: {reason}. '
                f'{len(self._salvaged)} whole messages can be read from it.')
            self.start_ns, self.end_ns = self._salvaged.start_ns, self._salvaged.end_ns
            self._set_topics(self._salvaged.counts())

    def _make_readable(self) -> None:
        """Find a way of opening that sees everything and leaves the folder as it is."""
        sidecars = [side for side in (Path(f'{self.path}-wal'), Path(f'{self.path}-journal'))
                    if side.exists() and side.stat().st_size]
        if not sidecars:
            # Nothing is pending: no lock and no shared memory file is needed, not even for a
            # file that was recorded with write-ahead logging.
            self._uri_options = 'immutable=1'
            return
        pending = ' and '.join(side.name for side in sidecars)
        if self._readable_in_place():
            self.warnings.append(
                f'{self.path.name} was not closed by its recorder, or is still being recorded: '
                f'what lies in {pending} is read as well.')
            return
        self._copy = tempfile.TemporaryDirectory(prefix='depth_anyevent_bag_')
        for source in (self.path, *sidecars):
            shutil.copyfile(source, Path(self._copy.name, source.name))
        self._database = Path(self._copy.name, self.path.name)
        self._uri_options = 'mode=rw'
        self.warnings.append(
            f'{self.path.name} was not closed by its recorder: what lies in {pending} is read '
            'as well, from a copy.')

    def _readable_in_place(self) -> bool:
        # Where the shared memory file of the log exists, SQLite adds no file to the folder.
        if not Path(f'{self.path}-shm').exists() or Path(f'{self.path}-journal').exists():
            return False
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.execute('SELECT COUNT(*) FROM sqlite_master').fetchone()
        except sqlite3.OperationalError:
            return False
        return True
