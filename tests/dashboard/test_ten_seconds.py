"""A stranger reads three tiles and two sentences: what was decided, how much, can I trust it, what next."""

from __future__ import annotations

import os
import re
import struct
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from experiments.models import Experiment
from tests.support.browser import Visit
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.dashboard_pages import PHONE
from tests.support.verdict_reports import MAKERS, make_verdict_reports

ROOT = Path(__file__).parents[2]
SHOTS = os.environ.get("BAKEOFF_SHOTS", "")  # a folder for screenshots
# Of each report: decision, effect, health, each as headline and lines; then the sentence and what is next.
ENGLISH = {
    "ship": (
        ["Shipped", "popularity@2 replaced popularity@1", "By Bakeoff on DATE"],
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
        ["Rolled back", "popularity@1 serves again", "By Bakeoff on DATE"],
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
        "Too early to tell: 150 users so far (78 in control, 72 in treatment). "
        "Not judged yet: 150 users with clicks (78 in control, 72 in treatment).",
        "Nothing to do: first results in about 24 hours; each user is followed for 1 day.",
    ),
    "no_events": (
        ["Too early", "10,000 users planned"],
        ["No results yet", "First results in about 22 hours; each user is followed for 1 day."],
        [
            "No clicks recorded yet",
            "Not one of 400 users had an event 'click' that it counts",
            "Before the start 20% of users had one",
            "Split 50% / 50%, as planned",
        ],
        "Too early to tell: 400 users so far (200 in control, 200 in treatment). "
        "Not judged yet: 0 users with clicks (0 in control, 0 in treatment).",
        "Check that your product sends 'click' with the user IDs of its exposures: without it there is no "
        "verdict.",
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
    "several": (
        ["Keep running", "2,201 of 3,400 planned users to go, about 17 days at this pace."],
        [
            "No clear change",
            "+0.1%, but it could be −11% to +13%",
            "98.33% CI, valid at any time",
            "Undecided: 2 of 3 treatments",
        ],
        [
            "1 warning",
            "'treatment' takes no traffic any more: Significantly worse: z = -20.35, needed 4.35",
        ],
        "Keep running. No clear difference in clicks per user for popularity@4: 1.5 against 1.5.",
        "Nothing to do: a verdict is expected within about 17 days.",
    ),
    "halt": (
        ["Halted", "popularity@1 serves again", "By Bakeoff on DATE"],
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
        ["No winner", "By Bakeoff on DATE"],
        ["No clear change", "+0.0%, but it could be −6.9% to +7.4%", "95% CI, valid at any time"],
        [
            "No problems",
            "380 users analysed; it ended before all 400 planned ones",
            "Split 50% / 50%, as planned",
        ],
        "No winner. No clear difference in clicks per user: 1.5 against 1.5.",
        "It ended early, as more users would hardly have changed that. popularity@1 serves everyone now. "
        "Next, try a bolder change.",
    ),
    "holdback_lost": (
        ["Worse now", "popularity@2 against popularity@1, after its promotion"],
        ["−57%", "Worse: −63% to −50%", "95% CI, valid at any time"],
        ["No problems", "120 users analysed", "Split 50% / 50%, as planned"],
        "The gain is gone: −57% against the former version (−63% to −50%) after 21 days.",
        "popularity@2 still serves most users. Decide on the surface's autopilot page: approve to go back "
        "to popularity@1, or decline to keep popularity@2.",
    ),
    "interleave_prefers": (
        ["Preferred", "popularity@2 over popularity@1, not shipped", "By Bakeoff on DATE"],
        ["+0.19", "Better: +0.043 to +0.35", "95% CI, valid at any time"],
        [
            "No problems",
            "240 users analysed; it ended before all 400 planned ones",
            "Each list has items of both versions",
        ],
        "Users prefer popularity@2. Lists of popularity@2 bring about 35% more clicks than those of popularity@1. By user: 120 for popularity@2, 60 for popularity@1, 60 for neither.",
        "popularity@1 serves everyone now. Your decision: start a test of popularity@2, as a preference in lists is not yet a gain.",
    ),
    "interleave_prefers_control": (
        ["Rolled back", "popularity@1 serves again", "By Bakeoff on DATE"],
        ["−0.19", "Worse: −0.35 to −0.043", "95% CI, valid at any time"],
        [
            "No problems",
            "240 users analysed; it ended before all 400 planned ones",
            "Each list has items of both versions",
        ],
        "Rolled back popularity@2. Lists of popularity@2 bring about 26% fewer clicks than those of popularity@1. By user: 60 for popularity@2, 120 for popularity@1, 60 for neither.",
        "popularity@1 serves everyone now. Nothing is left to do.",
    ),
    "interleave_undecided": (
        ["Keep running", "360 of 600 planned users to go, about 3 hours at this pace."],
        ["No clear preference", "+0, but it could be −0.15 to +0.15", "95% CI, valid at any time"],
        ["No problems", "240 of 600 planned users analysed", "Each list has items of both versions"],
        "Keep running. No clear preference between popularity@2 and popularity@1. By user: 80 for popularity@2, 80 for popularity@1, 80 for neither.",
        "Nothing to do: a verdict is expected within about 3 hours.",
    ),
    "interleave_early": (
        ["Too early", "400 users planned"],
        ["No results yet", "First results in about 22 hours; each user is followed for 1 day."],
        ["Tracking works", "Each list has items of both versions"],
        "Too early to tell: 240 users so far, with items of all versions in each list.",
        "Nothing to do: first results in about 22 hours; each user is followed for 1 day.",
    ),
    "interleave_no_preference": (
        ["No winner", "All planned users are analysed."],
        ["No clear preference", "+0, but it could be −0.15 to +0.15", "95% CI, valid at any time"],
        [
            "No problems",
            "240 of 240 planned users analysed",
            "Each list has items of both versions",
        ],
        "No winner. No clear preference between popularity@2 and popularity@1. By user: 80 for popularity@2, 80 for popularity@1, 80 for neither.",
        "Your decision: more users would hardly change this, so you can stop the experiment.",
    ),
    "bandit_early": (
        ["Too early", "4,000 users planned"],
        ["No results yet", "First results in about 23 hours; each user is followed for 1 minute."],
        ["Tracking works", "Split 50% / 50%, as planned"],
        "Too early to tell: 400 users so far (200 in control, 200 in treatment). "
        "Not judged yet: 400 users with clicks (200 in control, 200 in treatment).",
        "Nothing to do: first results in about 23 hours; each user is followed for 1 minute.",
    ),
    "bandit_learning": (
        [
            "Still learning",
            "New users now: Control 10%, Treatment 90%",
            "3,520 of 4,000 planned users to go, about 9 days at this pace.",
        ],
        ["No clear change", "+13%, but it could be −2.0% to +29%", "95% CI, valid at any time"],
        ["No problems", "480 of 4,000 planned users analysed", "Split 47% / 53%, planned 43% / 57%"],
        "Keep running. No clear difference in clicks per user: 1.5 against 1.33.",
        "Nothing to do: shares of new users follow the results, and a verdict is expected within about 9 days.",
    ),
    "bandit_winner": (
        ["Shipped", "By Bakeoff on DATE"],
        ["+200%", "Better: +137% to +279%", "95% CI, valid at any time"],
        [
            "No problems",
            "400 users analysed; it ended before all 1,000 planned ones",
            "Split 50% / 50%, as planned",
        ],
        "Shipped 'green'. It raised clicks per user by 200%: 1.5 against 0.5.",
        "Everyone gets 'green' now. Nothing is left to do.",
    ),
    "switchback_running": (
        ["Keep running", "20 of 40 planned blocks of time to go, which take 2 hours."],
        ["No results yet", "Only 10 blocks of time of control are over; 20 are needed in each variant"],
        ["No problems", "20 of 40 planned blocks of time are over", "Split 50% / 50%, as planned"],
        "Too early to tell: 20 of 40 planned blocks of time are over, in each of which all users got one variant.",
        "Nothing to do: a verdict is expected within about 2 hours.",
    ),
    "switchback_ship": (
        ["Shipped", "popularity@2 replaced popularity@1", "By Bakeoff on DATE"],
        ["+129%", "Better: +72% to +224%", "95% CI, one fixed analysis"],
        ["No problems", "40 of 40 planned blocks of time are over", "Split 50% / 50%, as planned"],
        "Shipped popularity@2. It raised clicks per user and block of time by 129%: 5.33 against 2.33.",
        "popularity@2 serves everyone now. Nothing is left to do.",
    ),
    "cluster_running": (
        ["Keep running", "240 of 360 planned users to go, about 6 days at this pace."],
        [
            "No results yet",
            "Only 10 clusters of control have analysed users; 20 are needed in each variant",
        ],
        [
            "No problems",
            "120 of 360 planned users analysed, in 20 clusters",
            "Split 50% / 50%, as planned",
        ],
        "Too early to tell: clusters by 'store' with analysed users: 10 in control, 10 in treatment.",
        "Nothing to do: the analysis waits for 20 clusters in each variant and for all planned users.",
    ),
    "cluster_ship": (
        ["Shipped", "popularity@2 replaced popularity@1", "By Bakeoff on DATE"],
        ["+120%", "Better: +69% to +204%", "95% CI, one fixed analysis"],
        [
            "No problems",
            "240 users in 40 clusters analysed, 200 were planned",
            "Split 50% / 50%, as planned",
        ],
        "Shipped popularity@2. It raised clicks per user by 120%: 5.5 against 2.5.",
        "popularity@2 serves everyone now. Nothing is left to do.",
    ),
}
CHINESE = {
    "ship": ("已发布 popularity@2。它使每用户 clicks提高了 67%：2.5 对 1.5。", "现在由 popularity@2 服务所有用户。无需再做任何操作。"),
    "roll_back": ("已回滚 popularity@2。它使每用户 clicks降低了 40%：1.5 对 2.5。", "现在由 popularity@1 服务所有用户。无需再做任何操作。"),
    "day_1": (
        "现在判断为时过早：目前有 150 个用户（对照组 78，实验组 72）。尚未评判：150 名用户有 clicks（对照组 78，实验组 72）。",
        "无需操作：约 24 小时 后得出首批结果；每位用户观察 1 天。",
    ),
    "no_events": (
        "现在判断为时过早：目前有 400 个用户（对照组 200，实验组 200）。尚未评判：0 名用户有 clicks（对照组 0，实验组 0）。",
        "请检查产品是否以曝光时的用户标识发送“click”：没有它就得不出结论。",
    ),
    "day_9": ("继续运行。每用户 clicks没有明显差异：1.5 对 1.5。", "无需操作：预计约 17 天 内得出结论。"),
    "several": ("继续运行。popularity@4 的每用户 clicks没有明显差异：1.5 对 1.5。", "无需操作：预计约 17 天 内得出结论。"),
    "halt": ("已中止：数据不可信，因此不据此作任何决定。", "现在由 popularity@1 服务所有用户。请先找出原因，再开始新的实验。"),
    "futile": (
        "没有胜者。每用户 clicks没有明显差异：1.5 对 1.5。",
        "更多用户也几乎不会改变结果，因此提前结束。现在由 popularity@1 服务所有用户。下一步可以尝试更大的改动。",
    ),
    "holdback_lost": (
        "收益已消失：21 天后比前一版本变化 −57%（−63% 至 −50%）。",
        "popularity@2 仍为大多数用户服务。请在该推荐位的自动驾驶页面决定：批准以恢复 popularity@1，或拒绝以保留 popularity@2。",
    ),
    "interleave_prefers": ("用户更喜欢 popularity@2。popularity@2 的列表带来的 clicks 比 popularity@1 的多约 35%。按用户计：120 人偏好 popularity@2，60 人偏好 popularity@1，60 人无偏好。", "现在由 popularity@1 服务所有用户。请您决定：为 popularity@2 启动测试，因为列表中的偏好还不等于收益。"),
    "interleave_prefers_control": ("已回滚 popularity@2。popularity@2 的列表带来的 clicks 比 popularity@1 的少约 26%。按用户计：60 人偏好 popularity@2，120 人偏好 popularity@1，60 人无偏好。", "现在由 popularity@1 服务所有用户。无需再做任何操作。"),
    "interleave_undecided": ("继续运行。用户对 popularity@2 和 popularity@1 没有明显偏好。按用户计：80 人偏好 popularity@2，80 人偏好 popularity@1，80 人无偏好。", "无需操作：预计约 3 小时 内得出结论。"),
    "interleave_early": ("现在判断为时过早：目前有 240 个用户，每个列表都含有所有版本的物品。", "无需操作：约 22 小时 后得出首批结果；每位用户观察 1 天。"),
    "interleave_no_preference": (
        "没有胜者。用户对 popularity@2 和 popularity@1 没有明显偏好。按用户计：80 人偏好 popularity@2，80 人偏好 popularity@1，80 人无偏好。",
        "请您决定：更多用户也几乎不会改变结果，可以停止实验。",
    ),
    "bandit_early": ("现在判断为时过早：目前有 400 个用户（对照组 200，实验组 200）。尚未评判：400 名用户有 clicks（对照组 200，实验组 200）。", "无需操作：约 23 小时 后得出首批结果；每位用户观察 1 分钟。"),
    "bandit_learning": ("继续运行。每用户 clicks没有明显差异：1.5 对 1.33。", "无需操作：新用户的份额随结果调整，预计约 9 天 内得出结论。"),
    "bandit_winner": ("已发布 'green'。它使每用户 clicks提高了 200%：1.5 对 0.5。", "现在所有用户都得到 'green'。无需再做任何操作。"),
    "switchback_running": ("现在判断为时过早：计划的 40 个时间段已结束 20 个，每个时间段内所有用户得到同一变体。", "无需操作：预计约 2 小时 内得出结论。"),
    "switchback_ship": ("已发布 popularity@2。它使每用户每时间段 clicks提高了 129%：5.33 对 2.33。", "现在由 popularity@2 服务所有用户。无需再做任何操作。"),
    "cluster_running": ("现在判断为时过早：按“store”划分且有已分析用户的群组：对照组 10，实验组 10。", "无需操作：每个变体达到 20 个群组且计划的用户全部到齐后进行分析。"),
    "cluster_ship": ("已发布 popularity@2。它使每用户 clicks提高了 120%：5.5 对 2.5。", "现在由 popularity@2 服务所有用户。无需再做任何操作。"),
}  # fmt: skip


@pytest.fixture(scope="module")
def experiments(shared_lane):
    """The experiments, by name."""
    return make_verdict_reports()


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
    html = re.sub(
        r"</summary>.*?</details>", "</summary></details>", html, flags=re.DOTALL
    )  # is folded
    pieces = (unescape(piece).strip() for piece in re.sub(r"<[^>]+>", "\n", html).split("\n"))
    return [re.sub(r"\d{4}-\d\d-\d\d", "DATE", piece) for piece in pieces if piece]


@pytest.mark.parametrize("name", MAKERS)
def test_a_stranger_is_told_what_how_much_whether_to_trust_it_and_what_is_next(experiments, name):
    tiles, sentence, following = read_top(experiments[name], "en")
    assert (*tiles, sentence, following) == ENGLISH[name]


def test_the_first_day_has_its_checks_as_a_list(experiments):
    shown = {}
    for name in ("day_1", "no_events", "day_9"):
        page = sign_in(experiments[name].project).get(report_path(experiments[name])).content.decode()
        shown[name] = re.findall(r'<li><span class="badge \w+">(.*?)</li>', page)
    assert [unescape(re.sub("</?span>", "", line)) for line in shown["day_1"]] == [
        "✓ fine Split between variants: Split 52% / 48%, planned 50% / 50%",
        "✓ fine Events match users: 150 of 150 users with clicks",
        "✓ fine Users in both variants: 0 of 150 users",
    ]
    assert "– look here</span> Events match users: 0 of 400 users with clicks" in shown["no_events"]
    assert shown["day_9"] == []


def test_of_several_treatments_the_tile_names_the_one_that_leads(experiments):
    client = sign_in(experiments["several"].project)
    page = client.get(report_path(experiments["several"])).content.decode()
    assert "<h2>Effect of popularity@4 on clicks per user</h2>" in page


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_in_chinese(experiments, name):
    tiles, sentence, following = read_top(experiments[name], "zh-hans")
    assert (sentence, following) == CHINESE[name]
    assert all(tile for tile in tiles)


@pytest.mark.parametrize(
    ("name", "language", "sentence"),
    [
        ("ship", "en", "The true change is very likely in this range: of 100 such ranges about 95 hold it, "
         "however often you look and whenever you stop."),
        ("cluster_ship", "en", "The true change is very likely in this range: of 100 such ranges about 95 hold "
         "it. It is calculated once, when the planned number is reached."),
        ("ship", "zh-hans", "真实变化很可能在此范围内：100 个这样的范围中约有 95 个包含它，无论查看多少次、何时停止都成立。"),
    ],
)  # fmt: skip
def test_what_an_interval_means_is_one_press_away(
    experiments, shared_lane, chromium, name, language, sentence
):
    """By keyboard, without JavaScript, on a phone."""
    experiment = experiments[name]
    seen = Visit(
        chromium, shared_lane, make_user(experiment.project), viewport=PHONE, java_script_enabled=False,
        locale=language,
    )  # fmt: skip
    seen.page.goto(report_path(experiment))
    meaning = seen.page.locator('[data-tile="effect"] details')
    assert not meaning.get_by_text(sentence).is_visible()
    meaning.locator("summary").press("Enter")
    assert meaning.get_by_text(sentence).is_visible()
    seen.close()


@pytest.mark.parametrize("name", ["ship", "interleave_prefers", "bandit_learning"])
def test_reports_for_programs_say_what_is_next_too(experiments, name, lane):
    experiment = experiments[name]
    client = sign_in(experiment.project)
    verdict = client.get(report_path(experiment, "report.json")).json()["verdict"]
    assert (verdict["sentence"], verdict["next_step"]) == ENGLISH[name][3:]


@pytest.mark.parametrize("name", ["ship", "day_1", "holdback_lost"])
def test_a_report_prints_on_one_page(experiments, shared_lane, chromium, name):
    experiment = experiments[name]
    session = sign_in(experiment.project).cookies["sessionid"].value
    context = chromium.new_context(base_url=shared_lane.url)
    context.add_cookies([{"name": "sessionid", "value": session, "url": shared_lane.url}])
    page = context.new_page()
    page.goto(report_path(experiment))
    printed = page.pdf(prefer_css_page_size=True)
    context.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    assert re.search(rb"/MediaBox\s*\[0 0 59[45][.\d]* 84[12]", printed)  # A4, in points


@pytest.mark.skipif(not SHOTS, reason="BAKEOFF_SHOTS names no folder")
def test_screenshots(experiments, shared_lane, chromium):
    for name, experiment in experiments.items():
        session = sign_in(experiment.project).cookies["sessionid"].value
        context = chromium.new_context(
            base_url=shared_lane.url, viewport={"width": 1280, "height": 620}
        )
        context.add_cookies([{"name": "sessionid", "value": session, "url": shared_lane.url}])
        page = context.new_page()
        page.goto(report_path(experiment))
        page.screenshot(path=f"{SHOTS}/{name}.png")
        context.close()


@pytest.mark.skipif(not SHOTS, reason="BAKEOFF_SHOTS names no folder")
def test_picture_of_the_readme(experiments, shared_lane, chromium):
    """docs/images/verdict.png: the verdict of a report, 1,200 by 600, as somebody sees it in a README."""
    experiment = Experiment.objects.select_related("project").get(pk=experiments["ship"].pk)
    project, client = experiment.project, sign_in(experiment.project)
    slug, key, started_at = project.slug, experiment.key, experiment.started_at
    project.slug, experiment.key = "lumen-books", "personal-order"
    experiment.started_at = started_at - timedelta(days=12)
    project.save()
    experiment.save()
    session = client.cookies["sessionid"].value
    context = chromium.new_context(
        base_url=shared_lane.url, viewport={"width": 1200, "height": 600}, color_scheme="light"
    )
    context.add_cookies([{"name": "sessionid", "value": session, "url": shared_lane.url}])
    page = context.new_page()
    page.goto(report_path(experiment))
    page.screenshot(path=f"{SHOTS}/verdict.png")
    context.close()
    # Other tests read the same report.
    project.slug, experiment.key, experiment.started_at = slug, key, started_at
    project.save()
    experiment.save()


def test_the_picture_of_the_readme_can_be_read():
    readme = (ROOT / "README.md").read_text()
    (shown,) = re.findall(r"^!\[.+\]\((.+\.png)\)$", readme, re.MULTILINE)
    head = (ROOT / shown).read_bytes()[:24]
    assert (head[:8], struct.unpack(">II", head[16:])) == (b"\x89PNG\r\n\x1a\n", (1200, 600))
    assert readme.index(shown) < 1500  # characters: it stands on the first screen
