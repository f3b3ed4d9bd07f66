"""The pictures of `docs/pictures`, taken from what a demo made: `make demo`, then `make pictures`.

Belongs here: which page is opened, what is clicked, how large the picture is. Not here: what it shows
(`PICTURES.md`). Everything is found by what people read (`Show Markdown`), since Dagster and MLflow name nothing else that
lasts.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from plate_assets.precipitation.model import DETECTOR
from plate_assets.precipitation.report import heatmap_png
from plate_assets.settings import Settings
from tests.browser.chromium import start_chromium
from tests.made_plates import made_plate

PICTURES = Path(__file__).parent / "pictures"
ROOT = Path(__file__).parent.parent
MAX_BYTES = 150_000
WIDTH, HEIGHT = 1280, 860
PATIENCE_S = 90.0  # a page's first answer on a busy machine; nothing waits so long otherwise

# Where a machine keeps its files is nobody's business: a path in a page begins at the home.
SHORTEN_PATHS = r"""
const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (words.nextNode()) {
  const node = words.currentNode, shown = node.data.replace(/(\/[\w.-]+)+(?=\/(storage|arrivals|timelapses|mlflow))/g, "HOME");
  if (shown !== node.data) node.data = shown;
}
"""


class Camera:
    """A browser that waits until a page says what it is to say, and keeps what it shows as a small PNG."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def open(self, address: str, says: str, width: int = WIDTH, height: int = HEIGHT) -> None:
        """Open a page in a window of this size, px, and wait for words of it."""
        self.browser.set_window_size(width, height)
        self.browser.get("about:blank")
        self.browser.get(address)
        self._until(lambda b: says in b.find_element(By.TAG_NAME, "body").text, f"{address} does not say {says!r}")

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector, or of an XPath, which begins with `//`."""
        by = By.XPATH if selector.startswith("//") else By.CSS_SELECTOR
        element = self._until(
            lambda b: next((e for e in b.find_elements(by, selector) if e.is_displayed()), None), f"there is no {selector}"
        )
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def close(self, selector: str) -> None:
        """Close what lies over a page, where it is there."""
        self._stand_still()
        for element in self.browser.find_elements(By.CSS_SELECTOR, selector):
            element.click()

    def keep(self, name: str) -> None:
        """Write what the window shows as `pictures/<name>.png`, once it stands still."""
        self._stand_still()
        self.browser.execute_script(SHORTEN_PATHS + "window.scrollTo({top: 0, behavior: 'instant'});")
        write_picture(name, self.browser.get_screenshot_as_png())

    def _until(self, condition: Callable[[Any], Any], otherwise: str) -> Any:
        return WebDriverWait(self.browser, PATIENCE_S).until(condition, otherwise)

    def _stand_still(self, looks: int = 4, pause_s: float = 0.5) -> None:
        """Wait until several looks find the same; clocks may go on."""
        same, before, until = 0, "", time.monotonic() + PATIENCE_S
        while same < looks and time.monotonic() < until:
            time.sleep(pause_s)
            words = re.sub(r"\d", "", self.browser.find_element(By.TAG_NAME, "body").text)
            same, before = (same + 1 if words == before and "Loading" not in words else 0), words


def write_picture(name: str, png: bytes) -> None:
    """A PNG of at most WIDTH px and MAX_BYTES: as many colours as fit, then as many pixels."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
    colours = 256
    while len(small := _as_png(image, colours)) > MAX_BYTES:
        if colours > 64:
            colours //= 2
        else:
            image = image.resize((image.width * 9 // 10, image.height * 9 // 10), Image.Resampling.LANCZOS)
    (PICTURES / f"{name}.png").write_bytes(small)
    print(f"docs/pictures/{name}.png: {image.width} × {image.height} px, {len(small) // 1000} kB")


def _as_png(image: Image.Image, colours: int) -> bytes:
    out = io.BytesIO()
    image.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


@contextmanager
def served(command: list[str], health: str, **environment: str) -> Iterator[str]:
    """A server on a free port of this machine alone, from the moment that it answers; stopped with all that it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    program = [str(Path(sys.executable).with_name(command[0])), *command[1:], "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            program, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_for(server, address + health, log)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _wait_for(server: subprocess.Popen, address: str, log: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while server.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.5)
    log.seek(0)
    raise RuntimeError(f"{address} does not answer:\n{log.read().decode(errors='replace')[-2_000:]}")


def take_reports(camera: Camera, storage: Path, plate: str) -> None:
    """The report of the plate with a well opened, the time-lapse with the most to show, the newest morning."""
    camera.open((storage / "plate_report" / plate / "report.html").as_uri(), "Suspicious conditions", height=1100)
    camera.click(".ranked tbody tr .thumb")
    camera.keep("plate_report")
    timelapse = max(storage.glob("timelapse_report/*/report.html"), key=lambda page: page.stat().st_size)
    camera.open(timelapse.as_uri(), "Time-lapse report", height=1100)
    camera.click(".ranked tbody tr button")
    camera.keep("timelapse_report")
    morning = max(storage.glob("morning_page/*.html"), key=lambda page: page.stat().st_mtime)
    camera.open(morning.as_uri(), "", height=1100)
    camera.keep("morning_page")


def take_dagster(camera: Camera, address: str, plate: str) -> None:
    """Lineage, an asset with its plots, a plate's partition, the runs."""
    group = f"{address}/locations/plate_assets/asset-groups"
    # A graph is fitted to the window; in ones of these sizes Dagster draws assets as boxes with nothing but their names.
    for science, last, width, height in (
        ("precipitation", "plate_report", 1400, 950),
        ("dry_mass", "timelapse_report", 1700, 1150),
    ):
        camera.open(f"{group}/{science}/lineage", last, width, height)
        camera.keep(f"lineage_{science}")
    camera.open(f"{address}/assets/detector_comparison?view=events", "best AUC", height=1080)
    camera.click("//tr[contains(., 'ROC')]//*[contains(text(), 'Show Markdown')]")
    camera.keep("asset_with_plot")
    camera.open(f"{address}/assets/quadruplet_calls?view=partitions&partition={plate}", "called conditions")
    camera.keep("plate_partition")
    camera.open(f"{address}/runs", "Success", 1600, 1000)
    camera.keep("runs")


def take_mlflow(camera: Camera, address: str, model: str) -> None:
    """The detector in the registry, and what a reviewer reads of its newest version."""
    version = newest_version(address, model)
    for name, page in (("registry", f"models/{model}"), ("model_version", f"models/{model}/versions/{version}")):
        camera.open(f"{address}/#/{page}", "Description")
        camera.close("button[aria-label=Close]")
        camera.keep(name)


def newest_version(address: str, model: str) -> str:
    """The version of a model that was registered last."""
    asked = f"{address}/ajax-api/2.0/mlflow/registered-models/get?name={model}"
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        return json.load(answer)["registered_model"]["latest_versions"][-1]["version"]


def most_called(storage: Path) -> str:
    """The plate and visit with the most conditions called, the later of equals."""
    tables = sorted(storage.glob("quadruplet_calls/*.parquet"))
    if not tables:
        raise SystemExit(f"no plate was called in {storage}: run `make demo` first, or set PLATE_ASSETS_HOME")
    return max(reversed(tables), key=lambda table: pl.read_parquet(table)["call"].sum() or 0).stem


def main() -> None:
    """Take every picture."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are stopped too
    settings = Settings()
    home, storage = settings.home.resolve(), Path(settings.storage_root)
    plate = most_called(storage)
    model = DETECTOR.name
    PICTURES.mkdir(exist_ok=True)
    write_picture("plate", heatmap_png(made_plate(96)))
    dagster = ["dagster-webserver", "--workspace", "workspace.yaml", "--read-only"]
    mlflow = ["mlflow", "server", "--backend-store-uri", settings.tracking_uri, "--workers", "1"]
    with tempfile.TemporaryDirectory() as profile:
        browser = start_chromium(Path(profile))
        try:
            camera = Camera(browser)
            take_reports(camera, storage, plate)
            with served(dagster, "/server_info", PLATE_ASSETS_HOME=str(home), DAGSTER_HOME=str(home / "dagster")) as address:
                take_dagster(camera, address, plate)
            with served(mlflow, "/health", MLFLOW_DISABLE_TELEMETRY="true") as address:
                take_mlflow(camera, address, model)
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
