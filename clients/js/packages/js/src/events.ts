// Events wait for each other for a moment, leave with the page as a beacon, and stay in the queue until they
// are acknowledged: each has an ID, so it counts once. What no beacon takes waits in storage for the next
// page; a batch that is refused is halved, so that a bad event goes alone.

import { bytes, MAX_BYTES, pack, type BakeoffError, type Transport } from "./transport.js";
import type { EventFields, Fields, Receipt } from "./types.js";
import { isPage, newId, type Visitor } from "./visitor.js";

const MAX_WAITING = 500;
const BATCH = 100;
const LEFT = "bakeoff_left";

export const now = () => new Date().toISOString();

export function eventsOf(to: Transport, visitor: Visitor, beaconUrl: string, wait: number) {
  let waiting: Fields[] = [];
  let next: Promise<Receipt> | null = null;
  let flushing: Promise<Receipt> | null = null;

  /** The first events that fit in one request. */
  function batch(): Fields[] {
    let events = waiting.slice(0, BATCH);
    while (events.length > 1 && bytes(pack(events)) > MAX_BYTES - 99) events = events.slice(0, events.length >> 1);
    return events;
  }

  async function deliver(events: Fields[], first = 0): Promise<Receipt> {
    try {
      // Its time is read again at each try: it corrects the visitor's clock.
      const receipt = await to.insist("/v1/events", { get sent_at() { return now(); }, events });
      return {
        accepted: receipt.accepted,
        rejected: receipt.rejected.map((one: Receipt["rejected"][0]) => ({ ...one, index: first + one.index })),
      };
    } catch (error) {
      const { status, message } = error as BakeoffError;
      if (status !== 400 && status !== 413) throw error;
      const half = events.length >> 1;
      if (!half) return { accepted: 0, rejected: [{ index: first, code: "refused", message }] };
      const one = await deliver(events.slice(0, half), first);
      const other = await deliver(events.slice(half), first + half);
      return { accepted: one.accepted + other.accepted, rejected: [...one.rejected, ...other.rejected] };
    }
  }

  async function drain(): Promise<Receipt> {
    const total: Receipt = { accepted: 0, rejected: [] };
    while (waiting.length && visitor.granted) {
      const events = batch();
      const receipt = await deliver(events);
      waiting = waiting.filter((event) => !events.includes(event));
      total.accepted += receipt.accepted;
      total.rejected.push(...receipt.rejected);
    }
    for (const { code, message } of total.rejected) to.warn(code, message);
    return total;
  }

  const flush = (): Promise<Receipt> =>
    (flushing ||= drain()
      .catch(to.refuse)
      .finally(() => (flushing = null)));
  const quietly = () => void flush().catch(() => {}); // warned of already

  function leave(event?: Event) {
    if (!visitor.granted) return;
    let events;
    while ((events = batch()).length) {
      if (!navigator.sendBeacon(beaconUrl, pack({ sent_at: now(), events }))) break;
      waiting = waiting.slice(events.length);
    }
    if (event?.type === "pagehide" && waiting.length)
      try {
        localStorage.setItem(LEFT, pack(waiting));
      } catch {} // storage is full or forbidden
  }

  if (isPage) {
    addEventListener("pagehide", leave);
    addEventListener("online", quietly);
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
    // What an earlier page could not send.
    if (visitor.granted)
      try {
        waiting = JSON.parse(localStorage.getItem(LEFT) || "[]");
        localStorage.removeItem(LEFT);
        quietly();
      } catch {} // storage is forbidden, or somebody else wrote there
  }

  return {
    flush,
    track(name: string, fields?: EventFields): Promise<Receipt> {
      if (visitor.consent === "denied") return Promise.resolve({ accepted: 0, rejected: [] });
      // The IDs are put in now: a later sign-in must not move what happened before it.
      const about = visitor.about(fields);
      if (!visitor.granted) delete about.consent; // it waits, and leaves when consent is given
      waiting.push({ event_id: newId(), occurred_at: now(), name, ...about });
      if (waiting.length > MAX_WAITING) waiting.shift();
      if (waiting.length >= BATCH) quietly();
      if (!next) {
        next = new Promise((done, failed) =>
          setTimeout(() => {
            next = null;
            flush().then(done, failed);
          }, wait),
        );
        next.catch(() => {}); // a page that does not wait for it has its warning
      }
      return next;
    },
    /** Consent is there: what waited is the visitor's, and leaves. */
    release() {
      const anonymous_id = visitor.anonymousId();
      waiting = waiting.map((event) => ({ ...event, anonymous_id }));
      quietly();
    },
    drop() {
      waiting = [];
    },
  };
}
