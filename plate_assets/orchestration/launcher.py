"""The run launcher: Dagster's own, and it notices within seconds that a run's process is gone.

Belongs here: the health of run processes on one machine. Not here: retries and limits (`dagster.yaml`). The stock launcher
waits for `max_runtime_seconds`; after a power cut its runs stay STARTED for hours.
"""

import os
import re
import socket
from pathlib import Path

from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus

HOST_TAG = "plate_assets/host"
_STARTED = re.compile(r"Started process for run \(pid: (\d+)\)")


class WatchfulRunLauncher(DefaultRunLauncher):
    """DefaultRunLauncher that checks the recorded process id, its start time and the host."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch the run, and record on which host: another machine's process ids mean nothing here."""
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST_TAG: socket.gethostname()})
        super().launch_run(context)

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """RUNNING while the recorded process lives, FAILED when it is gone; a run of another host is left alone."""
        if run.tags.get(HOST_TAG, socket.gethostname()) != socket.gethostname():
            return CheckRunHealthResult(WorkerStatus.RUNNING, "started on another host: not checked from here")
        started = self._process_started(run.run_id)
        if started is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its process has not reported yet")
        pid, reported_at = started
        if process_lives(pid, reported_at):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} of the run is gone: killed, or the machine restarted")

    def _process_started(self, run_id: str) -> tuple[int, float] | None:
        """The latest process id that the run's log names, with the time of that entry."""
        for entry in reversed(self._instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT)):
            message = (entry.dagster_event.message if entry.dagster_event else None) or entry.user_message
            if match := _STARTED.search(message):
                return int(match[1]), entry.timestamp
        return None


def process_lives(pid: int, reported_at: float) -> bool:
    """Whether the process reporting at that time (seconds since 1970) still lives, and is not a later one of the same id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _answers(pid)
    state, *fields = stat.rpartition(")")[2].split()
    boot = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    started_at = boot + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and started_at <= reported_at + 2


def _answers(pid: int) -> bool:
    """Whether a process of that id exists, where there is no /proc to ask."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
