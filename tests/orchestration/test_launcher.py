import os
import signal
import subprocess
import time

from plate_assets.orchestration.launcher import process_lives


def test_a_living_process_lives_and_a_killed_one_does_not():
    process = subprocess.Popen(["sleep", "60"])
    assert process_lives(process.pid, time.time())
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.time() + 5
    while process_lives(process.pid, time.time()) and time.time() < deadline:
        time.sleep(0.05)
    assert not process_lives(process.pid, time.time()), "a killed process, not yet reaped, is a zombie and counts as gone"
    process.wait()
    assert not process_lives(process.pid, time.time())


def test_a_later_process_of_the_same_id_is_not_taken_for_the_run():
    process = subprocess.Popen(["sleep", "60"])
    try:
        assert not process_lives(process.pid, reported_at=time.time() - 3600)
    finally:
        process.kill()
        process.wait()
