"""A stranger reads three tiles and two sentences: what was decided, how much, can I trust it, what next."""

from __future__ import annotations

import os
import re
from html import unescape

import pytest

from tests.support.dashboard import report_path, sign_in
from tests.support.seven_reports import NAMES, make_seven_reports

SHOTS = os.environ.get("BAKEOFF_SHOTS", "")  # a folder for screenshots
# Of each report: decision, effect, health, each as headline and lines; then the sentence and what is next.
ENGLISH = {
    "ship": (
        ["Shipped", "popularity@2 replaced popularity@1", "Bakeoff, DATE"],
        ["+67%", "Better: +58% to +76%", "95% CI, valid at any time"],
        [
            "No problems",
            "400 of 400 planned users analysed",
            "Split 50% / 50%, as planned",
        ],
        "Shipped popularity@2. It raised clicks per user by 67%: 2.5 against 1.5.",
        "popularity@2 serves everyone now. Nothing is left to do.",
    ),
    "roll_back": (
        ["Rolled back", "Bakeoff, DATE"],
        ["−40%", "Worse: −43% to −37%", "95% CI, valid at any time"],
        [
            "No problems",
            "400 of 400 planned users analysed",
            "Split 50% / 50%, as planned",
        ],
        "Rolled back popularity@2. It lowered clicks per user by 40%: 1.5 against 2.5.",
        "popularity@1 serves everyone now. Nothing is left to do.",
    ),
    "day_1": (
        ["Too early", "10,000 users planned"],
        ["No results yet", "First results in about 24 hours; each user is followed for 1 day."],
        ["Tracking works", "Split 52% / 48%, planned 50% / 50%"],
        "Too early to tell: 150 users so far (78 in control, 72 in treatment).",
        "Nothing to do: first results in about 24 hours; each user is followed for 1 day.",
    ),
    "day_9": (
        ["Keep running", "2,240 of 3,400 planned users to go, about 17 days at this pace."],
        ["No clear change", "+0.0%, but it could be −7.1% to +7.6%", "95% CI, valid at any time"],
        [
            "No problems",
            "1,160 of 3,400 planned users analysed",
            "Split 50% / 50%, as planned",
        ],
        "Keep running. No clear difference in clicks per user: 1.5 against 1.5.",
        "Nothing to do: a verdict is expected within about 17 days.",
    ),
    "halt": (
        ["Halted", "Bakeoff, DATE"],
        ["Unknown", "The numbers cannot be trusted, so none is shown here"],
        [
            "Not trustworthy",
            "Traffic is not split as planned: observed Control 83.3% / Treatment 16.7%, expected "
            "Control 50.0% / Treatment 50.0%.",
        ],
        "Halted: the numbers cannot be trusted, so they decide nothing.",
        "popularity@1 serves everyone now. Find the cause, then start a new experiment.",
    ),
    "futile": (
        ["No winner", "Bakeoff, DATE"],
        ["No clear change", "+0.0%, but it could be −6.9% to +7.4%", "95% CI, valid at any time"],
        [
            "No problems",
            "380 of 400 planned users analysed",
            "Split 50% / 50%, as planned",
        ],
        "No winner. No clear difference in clicks per user: 1.5 against 1.5.",
        "It ended early, as more users would hardly have changed that. popularity@1 serves everyone now. "
        "Next, try a bolder change.",
    ),
    "holdback_lost": (
        ["Gain lost", "popularity@2 against popularity@1, after its promotion"],
        ["−57%", "Worse: −63% to −50%", "95% CI, valid at any time"],
        ["No problems", "120 users analysed", "Split 50% / 50%, as planned"],
        "The gain is gone: −57% (−63% to −50%) after 21 days.",
        "popularity@2 still serves. Your decision: go back to popularity@1, or decline, on the "
        "autopilot's page.",
    ),
}
CHINESE = {
    "ship": ("已发布 popularity@2。它使每用户 clicks提高了 67%：2.5 对 1.5。", "现在由 popularity@2 服务所有用户。无需再做任何操作。"),
    "roll_back": ("已回滚 popularity@2。它使每用户 clicks降低了 40%：1.5 对 2.5。", "现在由 popularity@1 服务所有用户。无需再做任何操作。"),
    "day_1": (
        "现在判断为时过早：目前有 150 个用户（对照组 78，实验组 72）。",
        "无需操作：约 24 小时 后得出首批结果；每位用户观察 1 天。",
    ),
    "day_9": ("继续运行。每用户 clicks没有明显差异：1.5 对 1.5。", "无需操作：预计约 17 天 内得出结论。"),
    "halt": ("已中止：数据不可信，因此不据此作任何决定。", "现在由 popularity@1 服务所有用户。请先找出原因，再开始新的实验。"),
    "futile": (
        "没有胜者。每用户 clicks没有明显差异：1.5 对 1.5。",
        "更多用户也几乎不会改变结果，因此提前结束。现在由 popularity@1 服务所有用户。下一步可以尝试更大的改动。",
    ),
    "holdback_lost": (
        "收益已消失：21 天后为 −57%（−63% 至 −50%）。",
        "popularity@2 仍在服务。请您决定：在自动驾驶页面恢复 popularity@1，或拒绝该提议。",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def seven(shared_lane):
    """The seven experiments."""
    return make_seven_reports()


def read_top(experiment, language: str) -> tuple[list[list[str]], str, str]:
    """Return headline and lines of each tile, the sentence, and what is next; a date as DATE."""
    headers = {"accept-language": language}
    page = sign_in(experiment.project).get(report_path(experiment), headers=headers).content.decode()
    tiles = [texts_of(tile) for tile in re.findall(r'data-tile="\w+">(.*?)</div>', page, re.DOTALL)]
    sentence, following = re.search(
        r'<p class="sentence">(.*?)<span data-next>(.*?)</span>', page, re.DOTALL
    ).groups()
    return [tile[1:] for tile in tiles], unescape(sentence.strip()), unescape(following)


def texts_of(html: str) -> list[str]:
    """Return what a tile says, but for signs that are not read out."""
    html = re.sub(r'<span aria-hidden="true">.*?</span>', "", html)
    pieces = (unescape(piece).strip() for piece in re.sub(r"<[^>]+>", "\n", html).split("\n"))
    return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", piece) for piece in pieces if piece]


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_is_told_what_how_much_whether_to_trust_it_and_what_is_next(seven, name):
    tiles, sentence, following = read_top(seven[name], "en")
    assert (*tiles, sentence, following) == ENGLISH[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_in_chinese(seven, name):
    tiles, sentence, following = read_top(seven[name], "zh-hans")
    assert (sentence, following) == CHINESE[name]
    assert all(tile for tile in tiles)


def test_reports_for_programs_say_what_is_next_too(seven, lane):
    experiment = seven["ship"]
    client = sign_in(experiment.project)
    verdict = client.get(report_path(experiment, "report.json")).json()["verdict"]
    assert verdict["sentence"] == ENGLISH["ship"][3]
    assert verdict["next_step"] == ENGLISH["ship"][4]


@pytest.mark.skipif(not SHOTS, reason="BAKEOFF_SHOTS names no folder")
def test_screenshots(seven, shared_lane, chromium):
    for name, experiment in seven.items():
        session = sign_in(experiment.project).cookies["sessionid"].value
        context = chromium.new_context(
            base_url=shared_lane.url, viewport={"width": 1280, "height": 620}
        )
        context.add_cookies([{"name": "sessionid", "value": session, "url": shared_lane.url}])
        page = context.new_page()
        page.goto(report_path(experiment))
        page.screenshot(path=f"{SHOTS}/{name}.png")
        context.close()
