// The embed: <script src="/sdk/v1.js" data-key="pk_…"></script>, then
//   const slate = await bakeoff.show("home-feed", { k: 10, timeout: 300 }, () => showMyOwn());
//   bakeoff.viewed(element, { item_id, recommendation_id });   // half of its pixels for a second
//   bakeoff.track("click", { item_id, recommendation_id });
// Ids: an anonymous one is kept and sent beside your unit_id, so that a visitor's variant stays the same
// at a login. Events wait for each other for a moment, leave with the page as a beacon, and stay in the
// queue until they are acknowledged: each has an id, so it counts once. What no beacon takes waits in
// storage for the next page; a batch that is refused is halved, so that a bad event goes alone. Without
// consent nothing is kept.

type Fields = Record<string, unknown>;
type Consent = "pending" | "granted" | "denied";
interface Slate extends Fields {
  recommendation_id: string;
  items: { item_id: string; position: number; title: string }[];
}
type Told = { accepted: number; rejected: Fields[] };
type Refusal = Error & { status?: number };

(() => {
  const script = document.currentScript as HTMLScriptElement;
  const base = new URL("..", script.src).href.slice(0, -1); // the platform may stand below a path
  const { key = "", consent: asked, wait = "400" } = script.dataset;
  const TRIES = 6, MAX_WAITING = 500, BATCH = 100, MAX_BYTES = 60_000, LEFT = "bakeoff_left";
  let allowed = (asked as Consent) || "granted";
  let unit: string | undefined;
  let waiting: Fields[] = [];
  let next: Promise<Told> | null = null;
  let flushing: Promise<Told> | null = null;
  let page = "";

  const id = () => (crypto.randomUUID ? crypto.randomUUID() : Date.now() + "-" + Math.random().toString(36).slice(2));
  const now = () => new Date().toISOString();
  // A text cut inside an emoji is no Unicode: JSON escapes the half that is left, and nobody stores it.
  const pack = (body: unknown) => JSON.stringify(body).replace(/\\\\|\\ud[89a-f]../g, (found) => (found[1] === "u" ? "\\ufffd" : found));
  const bytes = (text: string) => new Blob([text]).size;

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

  async function post(path: string, body: Fields, signal?: AbortSignal, alive = true): Promise<any> {
    const packed = pack(body);
    const answer = await fetch(base + path, {
      method: "POST",
      keepalive: alive && bytes(packed) < MAX_BYTES, // browsers refuse more, counted over all that is under way
      signal,
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
      body: packed,
    });
    const data = await answer.json().catch(() => ({})); // a proxy's page
    if (answer.ok) return data;
    const error: Refusal = new Error(data.error?.message || "HTTP " + answer.status);
    error.status = answer.status;
    throw error;
  }

  async function insist(path: string, body: Fields): Promise<any> {
    for (let tried = 1; ; tried++) {
      try {
        return await post(path, body, undefined, tried === 1);
      } catch (error) {
        const { status } = error as Refusal;
        // A TypeError is fetch's word for "the network is away"; 502 and 504 are a proxy's.
        const again = status === 429 || status! > 501 || error instanceof TypeError;
        if (tried === TRIES || !again) throw error;
        await new Promise((go) => setTimeout(go, 2 ** tried * 100 * (1 + Math.random())));
      }
    }
  }

  // The first events that fit in one request.
  function batch(): Fields[] {
    let events = waiting.slice(0, BATCH);
    while (events.length > 1 && bytes(pack(events)) > MAX_BYTES - 99) events = events.slice(0, events.length >> 1);
    return events;
  }

  async function tell(events: Fields[], first = 0): Promise<Told> {
    try {
      const told = await insist("/v1/events", { get sent_at() { return now(); }, events });
      return { accepted: told.accepted, rejected: told.rejected.map((one: Fields) => ({ ...one, index: first + +(one.index as number) })) };
    } catch (error) {
      const { status, message } = error as Refusal;
      if (status !== 400 && status !== 413) throw error;
      const half = events.length >> 1;
      if (!half) return { accepted: 0, rejected: [{ index: first, code: "refused", message }] };
      const one = await tell(events.slice(0, half), first);
      const other = await tell(events.slice(half), first + half);
      return { accepted: one.accepted + other.accepted, rejected: [...one.rejected, ...other.rejected] };
    }
  }

  async function drain(): Promise<Told> {
    const total: Told = { accepted: 0, rejected: [] };
    while (waiting.length && allowed === "granted") {
      const events = batch();
      const told = await tell(events);
      waiting = waiting.filter((event) => !events.includes(event));
      total.accepted += told.accepted;
      total.rejected.push(...told.rejected);
    }
    return total;
  }

  function flush(): Promise<Told> {
    return (flushing ||= drain().finally(() => (flushing = null)));
  }

  function leave(event?: Event) {
    if (allowed !== "granted") return;
    let events;
    while ((events = batch()).length) {
      const body = pack({ sent_at: now(), events });
      if (!navigator.sendBeacon(base + "/v1/events?key=" + encodeURIComponent(key), body)) break;
      waiting = waiting.slice(events.length);
    }
    if (event?.type === "pagehide" && waiting.length)
      try {
        localStorage.setItem(LEFT, pack(waiting));
      } catch {} // storage is full or forbidden
  }
  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());

  function track(name: string, fields?: Fields): Promise<Told> {
    if (allowed === "denied") return Promise.resolve({ accepted: 0, rejected: [] });
    // The ids are put in now: a login later must not move what happened before it.
    const about = who(fields);
    if (allowed === "pending") delete about.consent; // it waits, and leaves when consent is given
    waiting.push({ event_id: id(), occurred_at: now(), name, ...about });
    if (waiting.length > MAX_WAITING) waiting.shift();
    if (waiting.length >= BATCH) flush().catch(() => {});
    return (next ||= new Promise((done, failed) =>
      setTimeout(() => {
        next = null;
        flush().then(done, failed);
      }, Number(wait)),
    ));
  }

  // What an earlier page could not send.
  if (allowed === "granted") {
    try {
      waiting = JSON.parse(localStorage.getItem(LEFT) || "[]");
      localStorage.removeItem(LEFT);
      flush().catch(() => {});
    } catch {} // storage is forbidden, or somebody else wrote there
  }

  const ask = (list: string) => (surface: string, options?: Fields, signal?: AbortSignal): Promise<Slate> =>
    post("/v1/" + list, { surface, ...forced(), ...who(options) }, signal);
  const recommend = ask("recommend");

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
    similar: (surface: string, item_id: string, options?: Fields) => ask("similar")(surface, { item_id, ...options }),
    popular: ask("popular"),
    trending: ask("trending"),
    latest: ask("latest"),
    search: (surface: string, q: string, options?: Fields) => ask("search")(surface, { q, ...options }),
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
        flush().catch(() => {});
        if (unit) (window as any).bakeoff.identify(unit);
      }
    },
  };
})();
