// The embed: <script src="/sdk/v1.js" data-key="pk_…"></script>, then
//   const slate = await bakeoff.show("home-feed", { k: 10, timeout: 300 }, () => showMyOwn());
//   bakeoff.viewed(element, { item_id, recommendation_id });   // half of its pixels for a second
//   bakeoff.track("click", { item_id, recommendation_id });
// Ids: an anonymous one is kept and sent beside your unit_id, so that a visitor's variant stays the same
// at a login. Events wait for each other for a moment, leave with the page as a beacon, and are tried
// again until they are acknowledged: each has an id, so it counts once. Without consent nothing is kept.

type Fields = Record<string, unknown>;
type Consent = "pending" | "granted" | "denied";
interface Slate extends Fields {
  recommendation_id: string;
  items: { item_id: string; position: number; title: string }[];
}
type Told = { accepted: number; rejected: Fields[] };
type Refusal = Error & { again?: boolean };

(() => {
  const script = document.currentScript as HTMLScriptElement;
  const base = new URL("..", script.src).href.slice(0, -1); // the platform may stand below a path
  const { key = "", consent: asked, wait = "400" } = script.dataset;
  const TRIES = 6, MOST_WAITING = 500, BATCH = 100, BEACON = 60_000;
  let allowed = (asked as Consent) || "granted";
  let unit: string | undefined;
  let waiting: Fields[] = [];
  let next: Promise<Told> | null = null;
  let page = "";

  const id = () => (crypto.randomUUID ? crypto.randomUUID() : Date.now() + "-" + Math.random().toString(36).slice(2));
  const now = () => new Date().toISOString();

  function kept(store: () => Storage, name: string, make?: () => string): string {
    try {
      let value = store().getItem(name) || "";
      if (!value && make) store().setItem(name, (value = make()));
      return value;
    } catch {
      return make ? (page ||= make()) : ""; // storage is forbidden: one id a page
    }
  }

  // Before consent the visitor has an id for this page alone, and nothing is stored.
  const anonymous = () => (allowed === "granted" ? kept(() => localStorage, "bakeoff_id", id) : (page ||= id()));

  function who(fields?: Fields): Fields {
    const about: Fields = { anonymous_id: anonymous() };
    if (unit) about.unit_id = unit;
    if (allowed !== "granted") about.consent = { analytics: false, training: false };
    else if ((navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl) about.consent = { training: false };
    return { ...about, ...fields };
  }

  // A link for trying out, ?bakeoff_force=TOKEN, shows its variant on this tab's pages.
  function forced(): Fields {
    const token = new URLSearchParams(location.search).get("bakeoff_force");
    const force = token || kept(() => sessionStorage, "bakeoff_force");
    if (token) kept(() => (sessionStorage.setItem("bakeoff_force", token), sessionStorage), "bakeoff_force");
    return force ? { force } : {};
  }

  async function post(path: string, body: Fields, signal?: AbortSignal): Promise<any> {
    const answer = await fetch(base + path, {
      method: "POST",
      keepalive: true,
      signal,
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
      body: JSON.stringify(body),
    });
    const data = await answer.json();
    if (answer.ok) return data;
    const error: Refusal = new Error(data.error.message);
    error.again = answer.status === 429 || answer.status === 503;
    throw error;
  }

  async function insist(path: string, body: Fields): Promise<any> {
    for (let tried = 1; ; tried++) {
      try {
        return await post(path, body);
      } catch (error) {
        // A TypeError is fetch's word for "the network is away".
        if (tried === TRIES || !((error as Refusal).again || error instanceof TypeError)) throw error;
        await new Promise((go) => setTimeout(go, 2 ** tried * 100 * (1 + Math.random())));
      }
    }
  }

  async function flush(): Promise<Told> {
    const total: Told = { accepted: 0, rejected: [] };
    while (waiting.length && allowed === "granted") {
      const events = waiting.splice(0, BATCH);
      const said = await insist("/v1/events", { sent_at: now(), events });
      total.accepted += said.accepted;
      total.rejected.push(...said.rejected);
    }
    return total;
  }

  function leave() {
    while (waiting.length && allowed === "granted") {
      let events = waiting.splice(0, BATCH);
      let body = JSON.stringify({ sent_at: now(), events });
      while (body.length > BEACON && events.length > 1) {
        waiting = [...events.splice(events.length >> 1), ...waiting];
        body = JSON.stringify({ sent_at: now(), events });
      }
      navigator.sendBeacon(base + "/v1/events?key=" + encodeURIComponent(key), body);
    }
  }
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());

  function track(name: string, fields?: Fields): Promise<Told> {
    if (allowed === "denied") return Promise.resolve({ accepted: 0, rejected: [] });
    // The ids are put in now: a login later must not move what happened before it.
    const about = who(fields);
    if (allowed === "pending") delete about.consent; // it waits, and leaves when consent is given
    waiting.push({ event_id: id(), occurred_at: now(), name, ...about });
    if (waiting.length > MOST_WAITING) waiting.shift();
    if (waiting.length >= BATCH) flush();
    return (next ||= new Promise((done, failed) =>
      setTimeout(() => {
        next = null;
        flush().then(done, failed);
      }, Number(wait)),
    ));
  }

  const recommend = (surface: string, options?: Fields, signal?: AbortSignal): Promise<Slate> =>
    post("/v1/recommend", { surface, ...forced(), ...who(options) }, signal);

  // Ask, but not for longer than the host waits: then its own fallback shows.
  async function show(surface: string, options: Fields & { timeout?: number }, fallback: (why: Error) => void) {
    const { timeout = 500, ...rest } = options || {};
    const stop = new AbortController();
    const late = setTimeout(() => stop.abort(), timeout);
    try {
      return await recommend(surface, rest, stop.signal);
    } catch (error) {
      fallback(error as Error);
      return null;
    } finally {
      clearTimeout(late);
    }
  }

  const seen = new WeakMap<Element, { fields: Fields; timer: number }>();
  const eyes = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio } of entries) {
        const one = seen.get(target)!;
        clearTimeout(one.timer);
        if (intersectionRatio >= 0.5)
          one.timer = setTimeout(() => {
            eyes.unobserve(target);
            track("view", one.fields);
          }, 1000);
      }
    },
    { threshold: [0, 0.5] },
  );

  (window as any).bakeoff = {
    recommend,
    show,
    compare: (surface: string, options?: Fields) => post("/v1/compare", { surface, ...who(options) }),
    track,
    flush,
    viewed(element: Element, fields: Fields) {
      seen.set(element, { fields, timer: 0 });
      eyes.observe(element);
    },
    feedback: (fields: Fields) => insist("/v1/feedback", { feedback_id: id(), ...who(fields) }),
    identify(unit_id: string) {
      unit = unit_id;
      if (allowed !== "granted") return Promise.resolve({ success: false });
      return insist("/v1/identify", { userId: unit_id, anonymousId: anonymous() });
    },
    // pending: asked, nothing kept, events wait; granted: all go; denied: what waits is dropped.
    consent(value: Consent) {
      allowed = value;
      if (value === "denied") waiting = [];
      if (value === "granted") {
        const anonymous_id = anonymous();
        waiting = waiting.map((event) => ({ ...event, anonymous_id }));
        flush();
        if (unit) (window as any).bakeoff.identify(unit);
      }
    },
  };
})();
