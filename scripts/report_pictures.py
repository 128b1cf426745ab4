"""Pictures of a report for the documentation; this program takes them with a headless Chromium.

    python scripts/report_pictures.py RUN_FOLDER/output/report.html

It writes docs/images/report.png, report-dark.png and report-phone.png. RUN_FOLDER is a run of `autokaggle demo`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = {
    "report.png": ["--window-size=1100,1500"],
    "report-dark.png": ["--window-size=1100,1500", "--force-dark-mode", "--blink-settings=preferredColorScheme=0"],
}
PHONE = "report-phone.png"
# No window is narrower than 500 pixels: the page is shown in a frame of a phone's width in the middle of one.
PHONE_WINDOW = "--window-size=500,1500"
PHONE_FRAME = (
    '<body style="margin:0;background:#8a8f98"><iframe src="{page}" '
    'style="display:block;margin:auto;width:390px;height:1500px;border:0"></iframe></body>'
)


def main() -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit("No Chromium was found.")
    page = Path(sys.argv[1]).resolve().as_uri()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={name}/profile"]
        frame = Path(name, "phone.html")
        frame.write_text(PHONE_FRAME.format(page=page), "utf-8")
        shown = {picture: (*flags, page) for picture, flags in PICTURES.items()}
        shown[PHONE] = (PHONE_WINDOW, frame.as_uri())
        for picture, rest in shown.items():
            subprocess.run([*command, f"--screenshot={IMAGES / picture}", *rest], check=True, capture_output=True)


if __name__ == "__main__":
    main()
