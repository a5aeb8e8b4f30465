"""The npm packages as somebody has them: packed, installed in an empty project, typed, run in node."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from bakeoff.accounts.set_quota import set_quota
from experiments.actions.count_usage import count_usage
from experiments.models import Event, Exposure, Feedback, Slate
from tests.support import builders
from tests.support.npm import BUNDLES, SCRIPTS, SOURCE
from tests.support.provider import breaks_off
from tests.support.ranking import make_rank_surface

VECTORS = json.loads((SOURCE.parent / "vectors.json").read_text(encoding="utf-8"))
ESM = """
import { BakeoffError, chatStream, createClient, type Slate } from "@bakeoff/js";
import { bucketsOf } from "@bakeoff/js/hash";
import { defineSlate } from "@bakeoff/js/slate";
import { loadEmbed } from "@bakeoff/js/stub";
import { defineSurvey } from "@bakeoff/js/survey";

const client = createClient({ url: "https://bakeoff.example", key: "pk_x" });
const slate: Slate = await client.recommend("home-feed", { k: 3, filter: [{ labels: "new" }] });
const colour: string = await client.flag("button", "blue");
for await (const { text } of chatStream(client, "support", { variables: { shop: colour } })) text.trim();
defineSlate(client);
defineSurvey(client);
const later: Promise<Slate> = loadEmbed({ src: "/sdk/v1.js", key: "pk_x" }).recommend("home-feed");
const [gate]: [number, number] = await bucketsOf("salt", "u1");
export const used = [later, gate, new BakeoffError(0, "code", "message").status];
// @ts-expect-error: there is no such kind
client.feedback({ recommendation_id: slate.recommendation_id, kind: "thumbs" });
const chosen: string = (await client.rank("offers", [{ id: "a", features: { price: 1 } }])).action;
// @ts-expect-error: an action without features
client.rank("offers", [{ id: chosen }]);
// @ts-expect-error: an action counts from its decision on
client.rank("offers", [{ id: "a", features: { price: 1 } }], { expose: false });
// @ts-expect-error: a key is missing
createClient({ url: "https://bakeoff.example" });
// @ts-expect-error: a list of items is no text
export const title: string = slate.items;
"""
CJS = """
import js = require("@bakeoff/js");
import react = require("@bakeoff/react");
import slate = require("@bakeoff/js/slate");
import survey = require("@bakeoff/js/survey");

const client = js.createClient({ url: "https://bakeoff.example", key: "pk_x" });
slate.defineSlate(client);
survey.defineSurvey(client);
export const size: number = react.useFlag("size", 1);
"""
TSX = """
import { createClient } from "@bakeoff/js";
import { BakeoffProvider, useFeedback, useFlag, useRecommendations, Viewed } from "@bakeoff/react";

const client = createClient({ url: "https://bakeoff.example", key: "pk_x" });
function Feed() {
  const { slate, items, error } = useRecommendations("home-feed", { k: 5 });
  const colour: string = useFlag("button", "blue");
  const send = useFeedback(slate);
  if (!slate) return <p>{error?.message}</p>;
  const [first] = items;
  return (
    <ul>
      {items.map((item) => (
        <Viewed as="li" key={item.item_id} slate={slate} item={item} className={colour} onClick={() => send("thumb", 1)} />
      ))}
      <Viewed flag="button">new</Viewed>
      {/* @ts-expect-error: an item without its slate */}
      <Viewed item={first!} />
      {/* @ts-expect-error: a list item has no address */}
      <Viewed as="li" slate={slate} item={first!} href="/" />
    </ul>
  );
}
export const App = () => <BakeoffProvider client={client}><Feed /></BakeoffProvider>;
"""


SNIPPETS = [
    snippet
    for page in ("javascript.md", "rank.md")
    for snippet in re.findall(
        r"```(tsx?)\n(.*?)```", (SOURCE.parents[1] / "docs" / page).read_text(), re.DOTALL
    )
]
BUNDLED = {"use.tsx": TSX} | {
    f"snippet-{number}.{language}": text for number, (language, text) in enumerate(SNIPPETS)
}


@pytest.mark.parametrize(
    ("files", "module"), [({"use.mts": ESM, "use.cts": CJS}, "nodenext"), (BUNDLED, "esnext")]
)
def test_types_are_strict(packages, files, module):
    """Of what uses every door, for import, require and bundlers; and of the pages' own snippets."""
    assert len(SNIPPETS) > 5
    for file, source in files.items():
        (packages.project / file).write_text(source)
    assert packages.check_types(*files, module=module) == ""


def test_what_the_platform_serves_is_what_the_sources_make(packages):
    """`npm run build` in clients/js makes the committed scripts, byte for byte."""
    version = json.loads((SOURCE / "packages/js/package.json").read_text())["version"]
    for file, limit in SCRIPTS.items():
        committed = (SOURCE / "sdk" / version / file).read_bytes()
        assert (packages.workspace / "sdk" / version / file).read_bytes() == committed, file
        assert (packages.project / "node_modules/@bakeoff/js/dist" / file).read_bytes() == committed
        assert len(gzip.compress(committed, 9)) <= limit, file


def test_a_released_script_is_not_written_over(packages):
    version = json.loads((SOURCE / "packages/js/package.json").read_text())["version"]
    script = packages.workspace / "sdk" / version / "bakeoff.js"
    released = script.read_bytes()
    script.write_bytes(b"released")
    done = subprocess.run(
        ["node", "build.mjs", "--embed"],
        cwd=packages.workspace,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, script.read_bytes()) == (1, b"released")
    assert "exists with other bytes: raise the version in packages/js/package.json." in done.stderr
    script.write_bytes(released)


@pytest.mark.parametrize(("source", "limit"), BUNDLES.items())
def test_what_a_bundler_leaves_is_small(packages, source, limit):
    assert len(gzip.compress(packages.minified(source), 9)) <= limit


HASH = """
const rows = JSON.parse(process.argv[2]);
(async () => {
  for (const row of rows) {
    row.sha256 = await bucketsOf(row.salt, row.unit);
    row.growthbook_v1 = growthbookBucket(row.salt, row.unit, 1);
    row.growthbook_v2 = growthbookBucket(row.salt, row.unit, 2);
  }
  process.stdout.write(JSON.stringify(rows));
})();
"""


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("hash.mjs", 'import { bucketsOf, growthbookBucket } from "@bakeoff/js/hash";'),
        ("hash.cjs", 'const { bucketsOf, growthbookBucket } = require("@bakeoff/js/hash");'),
    ],
)
def test_the_package_hashes_as_the_vectors_say(packages, name, start):
    blank = json.dumps([{"salt": row["salt"], "unit": row["unit"]} for row in VECTORS])
    done = packages.node(start + HASH, blank, name=name)
    assert json.loads(done.stdout) == VECTORS, done.stderr


SERVER = """
import { createClient, chatStream } from "@bakeoff/js";
import { defineSlate } from "@bakeoff/js/slate";
import { defineSurvey } from "@bakeoff/js/survey";
const [url, key] = process.argv.slice(2);
defineSlate(() => undefined); // no page here: it does nothing
defineSurvey(() => undefined);
const client = createClient({ url, key, anonymousId: "a1", wait: 0 });
const slate = await client.recommend("home-feed", { k: 2 });
const subject = { recommendation_id: slate.recommendation_id, item_id: slate.items[0].item_id };
const receipt = await client.track("click", subject);
await client.feedback({ ...subject, kind: "thumb", value: 1 });
const ann = await client.identify("ann");
const again = await client.recommend("home-feed", { k: 2 });
const shared = createClient({ url, key });
const named = await shared.recommend("home-feed", { unit_id: "u7", k: 1 });
const nobody = await shared.recommend("home-feed").catch((error) => error.message);
process.stdout.write(JSON.stringify({ slate, receipt, ann: ann.success, same: again.variant === slate.variant, named, nobody }));
"""


def test_a_server_serves_and_records(packages, lane, shop):
    experiment = shop.run_experiment()
    lane.refresh()
    seen = packages.answer(SERVER, lane.url, shop.public)
    assert seen["receipt"] == {"accepted": 1, "rejected": []}
    assert (seen["ann"], seen["same"]) == (True, True)
    assert seen["nobody"] == "unitId and anonymousId are missing, one of them must name the visitor."
    slates = Slate.objects.filter(project=shop.project)
    assert set(slates.values_list("unit_id", flat=True)) == {"a1", "u7"}
    assert Event.objects.get(project=shop.project).unit_id == "a1"
    assert Feedback.objects.get(project=shop.project).value == 1
    assert Exposure.objects.filter(experiment=experiment).count() == 2


RANK = """
import { createClient } from "@bakeoff/js";
const [url, key] = process.argv.slice(2);
const client = createClient({ url, key });
const actions = [{ id: "none", features: { discount: 0 } }, { id: "half", features: { discount: 0.5 } }];
const decision = await client.rank("offers", actions, { unit_id: "u1", default: "half", features: { hour: 9 } });
const receipts = [await client.reward(decision.recommendation_id, 0.5), await client.reward(decision.recommendation_id, 1)];
const refused = [];
const note = ({ status, code, message }) => refused.push({ status, code, message });
await client.reward(decision.recommendation_id, 2).catch(note);
await client.reward("0199aaaa-0000-7000-8000-000000000000", 1).catch(note);
await client.rank("offers", [{ id: "a", features: {} }], { unit_id: "u1" }).catch(note);
await client.reward(decision.recommendation_id, 0.1, "click").catch(note);
const denied = createClient({ url, key, anonymousId: "a1", consent: "denied" });
const unseen = await denied.rank("offers", actions);
const dropped = await denied.reward(unseen.recommendation_id, 1);
process.stdout.write(JSON.stringify({ decision, receipts, refused, recorded: unseen.recorded, dropped }));
"""


def test_a_server_chooses_and_rewards_once(packages, lane, shop):
    make_rank_surface(shop.project)
    lane.refresh()
    seen = packages.answer(RANK, lane.url, shop.public)
    decision = seen["decision"]
    assert decision["action"] in {"none", "half"}
    assert decision["default"] == "half"
    assert 0 < decision["propensity"] <= 1
    assert [(one["accepted"], one["duplicates"]) for one in seen["receipts"]] == [(1, 0), (0, 1)]
    assert [(one["status"], one["code"]) for one in seen["refused"][:2]] == [
        (400, "invalid_value"),
        (404, "unknown_recommendation"),
    ]
    assert "value == 2.0, must be a number in [0, 1] on 'offers'." in seen["refused"][0]["message"]
    assert "actions[0].features == '0 of them', must be" in seen["refused"][2]["message"]
    assert seen["refused"][3]["code"] == "reward_is_whole"
    event = Event.objects.get(project=shop.project)
    assert (event.name, event.unit_id, event.value) == ("reward", "u1", 0.5)
    # Who refuses analytics gets an action, and leaves neither it nor its reward.
    assert (seen["recorded"], seen["dropped"]["accepted"]) == (False, 0)
    assert Slate.objects.filter(project=shop.project).count() == 1


FLAGS = """
import { createClient } from "@bakeoff/js";
const [url, key] = process.argv.slice(2);
const seen = [];
for (let n = 0; n < 12; n++) {
  const client = createClient({ url, key, anonymousId: "a" + n, unitId: n % 2 ? "u" + n : undefined });
  const all = await client.flags({ country: "DE" });
  const value = await client.flag("button", "default", { country: "DE" });
  await client.flag("button", "default", { country: "DE" });
  seen.push([value, all.button.value, await client.flag("button", 7), await client.flag("nobody", "default")]);
}
await new Promise((go) => setTimeout(go, 200));
process.stdout.write(JSON.stringify(seen));
"""


def test_flags_are_exposures_once(packages, lane, shop, page):
    experiment = builders.experiment(shop, page, values=("old", "new"))
    lane.refresh()
    done = packages.node(FLAGS, lane.url, shop.public)
    seen = json.loads(done.stdout)
    assert {row[0] for row in seen} == {"old", "new"}
    for value, in_bulk, of_another_type, unknown in seen:
        assert (value, of_another_type, unknown) == (in_bulk, 7, "default")
    exposures = Exposure.objects.filter(experiment=experiment)
    assert exposures.count() == exposures.values("unit_id").distinct().count() == len(seen)
    assert done.stderr.count("flag 'button' is a string, must be a number.") == len(seen)
    assert done.stderr.count("flag 'nobody' was not found") == len(seen)


REFUSED = """
import { createClient } from "@bakeoff/js";
const [url, key, surface] = process.argv.slice(2);
const client = createClient({ url, key, anonymousId: "a1" });
const errors = [];
for (let n = 0; n < 3; n++)
  await client.recommend(surface).catch(({ status, code, message }) => errors.push({ status, code, message }));
let fallback = "";
const slate = await client.show(surface, { timeout: 2000 }, (why) => (fallback = why.message));
process.stdout.write(JSON.stringify({ errors, fallback, slate, flag: await client.flag("button", "blue") }));
"""


@pytest.mark.parametrize(
    ("case", "status", "sentence"),
    [
        ("wrong key", 401, r"key"),
        ("unknown surface", 404, r"surface == 'home-fed', not found in project '[\w-]+'. Did you mean 'home-feed'\?"),
        ("offline", 0, r"http://127.0.0.1:9 does not answer."),
    ],
)  # fmt: skip
def test_a_refusal_is_warned_of_once(packages, lane, shop, case, status, sentence):
    url = "http://127.0.0.1:9" if case == "offline" else lane.url
    key = "pk_nobody" if case == "wrong key" else shop.public
    surface = "home-fed" if case == "unknown surface" else "home-feed"
    done = packages.node(REFUSED, url, key, surface)
    seen = json.loads(done.stdout)
    assert [error["status"] for error in seen["errors"]] == [status] * 3
    assert re.search(sentence, seen["errors"][0]["message"]), seen
    assert (seen["fallback"], seen["slate"], seen["flag"]) == (
        seen["errors"][0]["message"],
        None,
        "blue",
    )
    assert done.stderr.count(f"Bakeoff: {seen['errors'][0]['message']}") == 1, done.stderr


QUOTA = """
import { createClient } from "@bakeoff/js";
const [url, key] = process.argv.slice(2);
let sent = 0;
const real = globalThis.fetch;
globalThis.fetch = (...words) => (sent++, real(...words));
const client = createClient({ url, key, anonymousId: "a1", wait: 0 });
const errors = [];
for (const act of [() => client.track("click", { item_id: "i1" }), () => client.feedback({ kind: "thumb", value: 1 })])
  await act().catch(({ status, code }) => errors.push({ status, code }));
process.stdout.write(JSON.stringify({ errors, sent }));
"""


def test_a_quota_that_is_used_up_is_not_asked_again(packages, lane, shop):
    set_quota(project=shop.project, changes={"events": 0}, by="the operator")
    count_usage(builders.now())
    lane.refresh()
    seen = packages.answer(QUOTA, lane.url, shop.public)
    assert seen == {"errors": [{"status": 429, "code": "quota_used_up"}] * 2, "sent": 2}


CHAT = """
import { chatStream, createClient } from "@bakeoff/js";
const [url, key, unitId] = process.argv.slice(2);
const client = createClient({ url, key, unitId });
const messages = [{ role: "user", content: "Where is my order?" }];
const whole = await client.chat("support", { messages }).catch((error) => error.message);
const parts = [];
let failed = null;
try {
  for await (const part of chatStream(client, "support", { messages })) parts.push(part);
} catch ({ status, message }) {
  failed = { status, message };
}
let first;
for await (first of chatStream(client, "support", { messages })) break; // no more of it is wanted
process.stdout.write(JSON.stringify({ whole, parts, failed, first }));
"""


def test_an_answer_comes_in_parts(packages, chat):
    seen = packages.answer(CHAT, chat.lane.url, chat.secret, "u1")
    texts = [part["text"] for part in seen["parts"]]
    assert len(texts) > 2
    assert "".join(texts) == seen["whole"]["choices"][0]["message"]["content"] == "Hello there."
    assert seen["parts"][-1]["finish_reason"] == "stop"
    assert {str(slate.recommendation_id) for slate in chat.slates()} == {
        seen["whole"]["id"], seen["parts"][0]["id"], seen["first"]["id"],
    }  # fmt: skip
    assert {slate.unit_id for slate in chat.slates()} == {"u1"}
    assert seen["failed"] is None


def test_an_answer_that_breaks_off_says_so(packages, chat):
    chat.provider.behave = breaks_off("Half of")
    done = packages.node(CHAT.partition("let first")[0] + "process.stdout.write(JSON.stringify({ parts, failed }));",
                         chat.lane.url, chat.secret, "u1")  # fmt: skip
    seen = json.loads(done.stdout)
    assert "".join(part["text"] for part in seen["parts"]) == "Half of"
    assert seen["failed"]["status"] == 0


def test_a_page_may_not_send_messages(packages, chat):
    chat.set(public=True, budgets={name: {"tokens": 100_000} for name in ("unit", "address")})
    done = packages.node(
        CHAT.partition("const parts")[0] + "console.log(whole);", chat.lane.url, chat.public, "u1"
    )
    assert "messages needs a secret key (sk_…): a public key sends variables alone." in done.stdout
    assert done.stderr.count("Bakeoff: ") == 1


@pytest.mark.parametrize("package", ["js", "react"])
def test_a_package_holds_what_it_names(packages, package):
    folder = packages.project / "node_modules/@bakeoff" / package
    about = json.loads((folder / "package.json").read_text())

    def files(value) -> list[str]:
        return (
            [value]
            if isinstance(value, str)
            else [file for one in value.values() for file in files(one)]
        )

    named = [*files(about["exports"]), about["main"], about["types"]]
    assert [file for file in named if not (folder / file).exists()] == []
    assert (folder / "README.md").exists()
    assert [path for path in Path(folder).rglob("*") if path.suffix in {".tsx", ".map"}] == []
