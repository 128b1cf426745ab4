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
    "report-phone.png": ["--window-size=500,1500"],
}


def main() -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise SystemExit("No Chromium was found.")
    page = Path(sys.argv[1]).resolve()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}"]
        for name, flags in PICTURES.items():
            target = IMAGES / name
            subprocess.run([*command, *flags, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
