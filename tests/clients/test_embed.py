"""The embed in a real browser: a page of another origin asks, shows, and tells."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from experiments.models import Event, Slate
from tests.npm import install

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--virtual-time-budget=8000",
    "--dump-dom",
]

PAGE = """<!doctype html><body><ol></ol><script src="{url}/sdk/v1.js" data-key="{key}"></script><script>
  bakeoff.recommend("home-feed", {{ k: 3 }}).then(async (slate) => {{
    for (const item of slate.items) document.querySelector("ol").append(item.title, " | ");
    const first = {{ item_id: slate.items[0].item_id, recommendation_id: slate.recommendation_id }};
    const told = await bakeoff.track("click", first);
    document.body.append("accepted " + told.accepted);
    await bakeoff.identify("ann");
    const again = await bakeoff.recommend("home-feed", {{ k: 3, unit_id: "ann" }});
    document.body.append(" same " + (again.variant === slate.variant));
  }}, (error) => document.body.append("failed " + error.message));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_a_page_of_another_origin_embeds_recommendations(lane, shop, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(url=lane.url, key=shop.public))
    done = subprocess.run(
        [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert "Item i0 | Item i1 | Item i2" in done.stdout, done.stdout + done.stderr[-2000:]
    assert "accepted 1" in done.stdout
    assert "same true" in done.stdout
    event = Event.objects.get(project=shop.project)
    slate, again = Slate.objects.filter(project=shop.project).order_by("recommendation_id")
    assert event.unit_id == slate.unit_id == again.unit_id != "ann"
    assert (event.recommendation_id, event.item_id) == (slate.recommendation_id, "i0")


def test_the_built_file_is_what_its_source_makes(tmp_path):
    """`npm run build` in clients/js makes the committed file, byte for byte, of at most 4 KB packed."""
    import gzip
    import json
    from pathlib import Path

    folder = Path(__file__).parents[2] / "clients" / "js"
    built = (folder / "bakeoff.js").read_bytes()
    assert len(gzip.compress(built, 9)) <= 4096
    version = json.loads((folder / "package.json").read_text())["devDependencies"]["esbuild"]
    install(tmp_path, f"esbuild@{version}")
    source = str(folder / "src" / "bakeoff.ts")
    build = [
        "npx",
        "esbuild",
        source,
        "--minify",
        "--target=es2021",
        "--outfile=made.js",
        "--log-level=error",
    ]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "made.js").read_bytes() == built
