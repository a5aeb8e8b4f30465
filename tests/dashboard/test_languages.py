"""The compiled catalogue is what its source says, and leaves nothing out."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "platform" / "bakeoff" / "locale" / "zh_Hans" / "LC_MESSAGES"


def read_source() -> dict[str, str]:
    source = {}
    for block in (FOLDER / "django.po").read_text(encoding="utf-8").split("\n\n"):
        parts = dict.fromkeys(("msgid", "msgstr"), "")
        name = ""
        for line in block.splitlines():
            if found := re.match(r'(msgid|msgstr)(?:_plural|\[0\])? "', line):
                name = "" if line.startswith("msgid_plural") else found[1]
            if name and '"' in line:
                text = line[line.index('"') + 1 : -1]
                parts[name] += text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        if parts["msgid"]:
            source[parts["msgid"]] = parts["msgstr"]
    return source


def test_the_compiled_catalogue_says_what_its_source_says():
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    source = read_source()
    assert len(source) > 350
    for english, chinese in source.items():
        assert chinese, english
        said = (
            compiled.ngettext(english, "?", 1)
            if "flagged piece" in english
            else compiled.gettext(english)
        )
        assert said == chinese
        # Names in a sentence are the same in both.
        assert sorted(re.findall(r"%\((\w+)\)s", english)) == sorted(
            re.findall(r"%\((\w+)\)s", chinese)
        )


def test_every_sentence_of_the_templates_is_in_the_catalogue():
    source = read_source()
    folder = FOLDER.parents[2] / "dashboard" / "templates"
    for template in folder.rglob("*.html"):
        for sentence in re.findall(
            r"""{% translate (?:"([^"]+)"|'([^']+)') %}""", template.read_text(encoding="utf-8")
        ):
            assert (sentence[0] or sentence[1]) in source, template.name
