// The embed: <script src="/sdk/v1.js" data-key="pk_…"></script>, then
//   const slate = await bakeoff.show("home-feed", { k: 10, timeout: 300 }, () => showMyOwn());
//   bakeoff.viewed(element, { item_id, recommendation_id });
//   bakeoff.track("click", { item_id, recommendation_id });
// It is the client of @bakeoff/js, set up by its script's attributes.

import { createClient } from "./client.js";
import type { ClientOptions } from "./types.js";

declare const VERSION: string; // of this script, written by the build
const script = document.currentScript as HTMLScriptElement;
// Who names the hash of this script loads no script without one, unless the page says so.
const { key = "", unit, wait, url, surveys = script.integrity && "off", ...rest } = script.dataset;
// The platform may stand below a path; a copy of the script elsewhere names it by data-url.
const at = script.src.lastIndexOf("/sdk/");
const base = url || (at < 0 ? new URL(script.src).origin : script.src.slice(0, at));

const client = createClient({
  ...(rest as Partial<ClientOptions>),
  url: base,
  key,
  unitId: unit,
  wait: wait ? Number(wait) : undefined,
  // Only where a question is due; by import(), which a policy of trusted types lets pass.
  onSurvey: (slate) =>
    surveys === "off" ||
    import(`${base}/sdk/${VERSION}/survey.js`).then(
      () => (client as any).ask(slate),
      () => {}, // the page's policy forbids it, or the network is gone: nobody is asked
    ),
});
type Call = [name: string, args: unknown[], done: (value: unknown) => void, failed: (error: unknown) => void];
const page = window as { bakeoff?: { q?: Call[] } | typeof client };
const waiting = (page.bakeoff as { q?: Call[] } | undefined)?.q;
page.bakeoff = client;

// What was called before the script was there; a caller that kept the stand-in goes on through it.
const run = ([name, args, done, failed]: Call) =>
  new Promise((go) => go((client as any)[name](...args))).then(done, failed);
if (waiting) {
  waiting.forEach(run);
  waiting.push = (call) => (run(call), 0);
}
