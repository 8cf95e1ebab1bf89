"""Take the pictures of live.md from the pages that `make live` serves.

make live ARGS="--no-browser"            # in one terminal
python book/assets/live.py http://127.0.0.1:8866
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

# Page, what is done to it, and what is awaited.
SHOTS = {
    "explore": ("button:text('reversed')", "figure img[alt*=reversed]"),
    "workbench": ("text='clip 2'", "[role=status]:text('15 clips against')"),
    "browse": ("text='rank 4'", "[role=status]:text('ranks 1, 2, 3, 4')"),
}


def main(address: str) -> None:
    """Open each page, operate a control, and keep the widget's picture."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for name, (control, shown) in SHOTS.items():
            page = browser.new_page(viewport={"width": 1000, "height": 900})
            page.set_default_timeout(300_000)
            page.goto(f"{address}/voila/render/{name}.ipynb", wait_until="commit")
            page.wait_for_selector(
                f".vx-{name} {'tbody' if name == 'workbench' else 'figure'}"
            )
            page.locator(f".vx-{name}").locator(control).first.click()
            page.wait_for_selector(f".vx-{name} {shown}")
            page.mouse.move(0, 0)
            page.wait_for_timeout(1000)
            box = page.locator(f".vx-{name}").bounding_box()
            assert box is not None
            clip = box | {"height": min(box["height"], 900 - box["y"])}
            picture = Image.open(io.BytesIO(page.screenshot(clip=clip)))
            out = Path(__file__).with_name(f"live_{name}.webp")
            picture.convert("RGB").save(out, quality=75, method=6)
            print(out, out.stat().st_size)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
