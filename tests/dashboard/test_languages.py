"""The Chinese catalogue: complete, without leftovers, and compiled."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path

from experiments.metrics.serving_names import SERVING_NAMES
from experiments.models import Metric
from experiments.programme.serving_metrics import GENERATION_METRICS, SERVING_METRICS
from tests.support.dashboard import sign_in

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "platform" / "bakeoff" / "locale" / "zh_Hans" / "LC_MESSAGES"
TEMPLATES = ROOT / "platform" / "bakeoff" / "dashboard" / "templates"
FUNCTIONS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext"}
TRANSLATE = re.compile(r"""(?:{% translate |\|default:_\()(?:"([^"]+)"|'([^']+)')""")
BLOCK = re.compile(r"{% blocktranslate.*?%}(.*?)(?:{% plural %}.*?)?{% endblocktranslate %}", re.DOTALL)


def read_source() -> dict[str, str]:
    """Return the Chinese of each English text."""
    source = {}
    for block in (FOLDER / "django.po").read_text(encoding="utf-8").split("\n\n"):
        parts = dict.fromkeys(("msgid", "msgstr"), "")
        name = ""
        for line in block.splitlines():
            if keyword := re.match(r'(msgid|msgstr)(?:_plural|\[0\])? "', line):
                name = "" if line.startswith("msgid_plural") else keyword[1]
            if name and '"' in line:
                text = line[line.index('"') + 1 : -1]
                parts[name] += text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        if parts["msgid"]:
            source[parts["msgid"]] = parts["msgstr"]
    return source


def texts_of_code() -> set[str]:
    found = set()
    for room in ("platform", "experiments", "inference"):
        for path in (ROOT / room).rglob("*.py"):
            code = path.read_text(encoding="utf-8")
            if "gettext" not in code:
                continue
            found |= {
                str(call.args[0].value)
                for call in ast.walk(ast.parse(code))
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in FUNCTIONS
                and isinstance(call.args[0], ast.Constant)
            }
    return found


def texts_of_templates() -> set[str]:
    found = set()
    for path in TEMPLATES.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        # Django looks a text up with its per cent signs doubled.
        found |= {(a or b).replace("%", "%%") for a, b in TRANSLATE.findall(page)}
        for block in BLOCK.findall(page):
            found.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", block.replace("%", "%%")))
    return found


def test_the_catalogue_has_every_text_and_no_other():
    assert set(read_source()) == texts_of_code() | texts_of_templates()


def test_the_catalogue_is_compiled_and_keeps_names():
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for english, chinese in read_source().items():
        assert chinese, english
        shown = compiled.gettext(english)
        assert chinese in {shown, compiled.ngettext(english, "?", 1)}, english
        # Names in a text are the same in both.
        names = r"%\((\w+)\)s|{(\w+)}"
        assert sorted(re.findall(names, english)) == sorted(re.findall(names, chinese)), english


def test_our_own_metrics_have_names_in_the_reader_s_language(shop):
    assert {one.key: one.name for one in (*SERVING_METRICS, *GENERATION_METRICS)} == SERVING_NAMES
    cold = {"key": "serving-cold-starts", "name": "Cold starts", "event": "slate.cold_start"}
    Metric.objects.create(project=shop.project, kind="mean", **cold)
    client = sign_in(shop.project)
    address = f"/p/{shop.project.slug}/metrics/"
    assert "Cold starts" in client.get(address).content.decode()
    page = client.get(address, headers={"accept-language": "zh-hans"}).content.decode()
    assert "冷启动" in page
    assert "Cold starts" not in page
    # A person's own name stays theirs.
    shop.project.metrics.filter(key="serving-cold-starts").update(name="Cold cases")
    assert "Cold cases" in client.get(address, headers={"accept-language": "zh-hans"}).content.decode()
