"""Spreads submissions over the workers of a Dask cluster.

A worker needs this package and nothing of the course: the assignment goes with the tasks, as plain data, and each
worker keeps one warm process for it. Dask pickles what it moves, so that only bytes are given to it: a
submission's files as they are on the way in, and on the way back JSON that the grader on the worker wrote.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import importlib.metadata
import json
import tempfile
import time
import uuid
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from nbformat import from_dict

from autograder.grading import Report
from autograder.layout import Assignment, Submission, courses_of_packages
from autograder.limits import Limits
from autograder.sandbox import isolation
from autograder.station import Lost, PoolError, Reports, Station
from autograder.verdict import Verdict

PATIENCE = 60.0  # seconds that a scheduler has to answer, and that there may be no worker
AHEAD = 2  # submissions on their way for each of a worker's threads

# A file of a submission: what is in it; or its size, where it is too large to be read; or None for a link.
Content = bytes | int | None


class Cluster:
    """The workers of a Dask cluster. Use it as a context manager."""

    def __init__(
        self, scheduler: str, assignment: Assignment, *, limits: Limits, isolate: bool, hide: tuple[Path, ...]
    ) -> None:
        self._address = scheduler
        self._limits = limits
        self._notebooks = tuple(assignment.notebooks)
        self._task = _packed_assignment(assignment, limits, isolate, hide)
        self._digest = hashlib.sha256(self._task).hexdigest()
        self._seen = time.monotonic()

    def submit(self, submission: Submission) -> Future[Reports]:
        from distributed import KilledWorker

        files = {name: path for name in self._notebooks if (path := submission.notebook(name))}
        contents = {name: _content(path, self._limits.notebook_mib) for name, path in files.items()}
        added = {name: _content(path, self._limits.file_mib) for name, path in submission.extra.items()}
        extra = {name: content for name, content in added.items() if isinstance(content, bytes)}
        key = f"grade-{uuid.uuid4().hex}"
        remote = self._client.submit(_grade, self._assignment, self._digest, contents, extra, key=key, pure=False)
        promise: Future[Reports] = Future()
        promise.set_running_or_notify_cancel()

        def settle(remote: Any) -> None:
            try:
                promise.set_result(_unpacked(remote.result()))
            except KilledWorker as error:
                promise.set_exception(Lost(str(error)))
            except CancelledError:
                promise.set_exception(self._gone("It ended, or the connection to it was lost."))
            except Exception as error:
                promise.set_exception(error)

        remote.add_done_callback(settle)
        return promise

    def slots(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return AHEAD * max(sum(worker["nthreads"] for worker in workers.values()), 1)

    def check(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise self._gone("It ended, or the connection to it was lost.")
        if self._client.status == "running" and self._client.scheduler_info(n_workers=-1)["workers"]:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > PATIENCE:
            raise self._gone(f"It has had no worker for {PATIENCE:g} s. Start some: dask worker {self._address}")

    def _gone(self, why: str) -> PoolError:
        return PoolError(
            f"The Dask scheduler at {self._address} cannot be used. {why} What was saved before stays, and the next "
            "run will grade the rest."
        )

    def __enter__(self) -> Cluster:
        try:
            from distributed import Client
        except ImportError as error:
            raise self._gone("Dask is not installed here: pip install 'finetuning-from-zero[cluster]'.") from error
        try:
            self._client = Client(self._address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise self._gone(f"It does not answer ({error}).") from error
        # A task like the others, and so made again where the workers that had its result are gone.
        self._assignment = self._client.submit(bytes, self._task, key=f"assignment-{self._digest}", pure=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close(timeout=5)


def _packed_assignment(assignment: Assignment, limits: Limits, isolate: bool, hide: tuple[Path, ...]) -> bytes:
    """All that a worker has to know, in bytes that are the same for the same content."""
    return json.dumps(
        {
            "name": assignment.name,
            "notebooks": assignment.notebooks,
            "files": {name: base64.b64encode(path.read_bytes()).decode() for name, path in assignment.files.items()},
            "limits": asdict(limits),
            "isolate": isolate,
            "hide": [str(path) for path in hide],
            "precedents": assignment.precedents,
            "version": importlib.metadata.version("finetuning-from-zero"),
        },
        sort_keys=True,
    ).encode()


def _content(path: Path, max_mib: float) -> Content:
    if path.is_symlink() or not path.is_file():
        return None
    size = path.stat().st_size
    return path.read_bytes() if size <= max_mib * 2**20 else size


def _unpacked(content: bytes) -> Reports:
    return {name: said and _report(said) for name, said in json.loads(content).items()}


def _report(said: dict[str, Any]) -> Report:
    verdicts = [Verdict.from_dict(verdict) for verdict in said["verdicts"]]
    manual = [(grade_id, points, unchanged) for grade_id, points, unchanged in said["manual"]]
    kept = {"verdicts": verdicts, "manual": manual, "untouched": frozenset(said["untouched"])}
    return Report(**{**said, **kept, "notebook": from_dict(said["notebook"])})


# -- on a worker


class _Stations:
    """The stations of this worker, by the hash of their assignment: those in use, and the one used last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: dict[str, Station] = {}
        self._users: dict[str, int] = {}

    def enter(self, task: bytes, digest: str) -> Station:
        with self._lock:
            idle = [one for one in self._open if not self._users.get(one) and one != digest]
            ended = [digest] if digest in self._open and self._open[digest].ended() else []
            for one in (*idle, *ended):
                self._open.pop(one).close()
            if digest not in self._open:
                self._open[digest] = _station(task)
            self._users[digest] = self._users.get(digest, 0) + 1
            return self._open[digest]

    def leave(self, digest: str) -> None:
        with self._lock:
            self._users[digest] -= 1

    def close(self) -> None:
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


_stations = _Stations()
atexit.register(_stations.close)


def _station(task: bytes) -> Station:
    said = json.loads(task)
    if said["isolate"] and (reason := isolation.why_not()):
        raise OSError(f"Learners' code cannot be shut in on this worker. {reason}")
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for number, (name, content) in enumerate(said["files"].items()):
            files[name] = Path(folder, str(number)).with_suffix(Path(name).suffix)
            files[name].write_bytes(base64.b64decode(content))
        notebooks = {name: from_dict(notebook) for name, notebook in said["notebooks"].items()}
        hide = (*map(Path, said["hide"]), *(courses_of_packages() if said["isolate"] else ()))
        assignment = Assignment(said["name"], notebooks, files, precedents=said["precedents"])
        return Station(assignment, limits=Limits(**said["limits"]), isolate=said["isolate"], hide=hide)


def _grade(task: bytes, digest: str, contents: dict[str, Content], extra: dict[str, bytes]) -> bytes:
    """Grades one submission on this worker.

    ``contents`` has the notebooks, by names that the assignment gives; ``extra`` the learner's own files, by the names
    that :func:`autograder.layout.submissions` let in.
    """
    station = _stations.enter(task, digest)
    try:
        with tempfile.TemporaryDirectory(prefix="submission-", dir=station.scratch, ignore_cleanup_errors=True) as made:
            folder, added = Path(made, "submission"), Path(made, "extra")
            folder.mkdir()
            added.mkdir()
            for name, content in contents.items():
                path = folder / f"{name}.ipynb"
                if content is None:
                    path.symlink_to("nowhere")
                elif isinstance(content, int):
                    with path.open("wb") as file:
                        file.truncate(content)
                else:
                    path.write_bytes(content)
            own = {name: added / str(number) for number, name in enumerate(extra)}
            for name, path in own.items():
                path.write_bytes(extra[name])
            reports = station.grade(Submission("", folder, own))
    finally:
        _stations.leave(digest)
    packed = {name: report and {"notebook": report.notebook, **report.record()} for name, report in reports.items()}
    return json.dumps(packed).encode()
