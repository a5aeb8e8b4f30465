// The client: recommendations, classifications, decisions, answers, events, feedback and flags of one visitor.

import { eventsOf } from "./events.js";
import { flagsOf } from "./flags.js";
import { watcher } from "./seen.js";
import { connect } from "./transport.js";
import type {
  Action, ChatAnswer, ChatOptions, Classification, ClassifyOptions, ClientOptions, Comparison, Consent, Decision,
  EventFields, FeedbackFields, Fields, ListOptions, RankOptions, RequestOptions, RewardReceipt, Slate,
} from "./types.js";
import { newId, visitorOf } from "./visitor.js";

export type Client = ReturnType<typeof createClient>;

/** Make a client; in a page one for all of it, in a server one per visitor or one that names `unit_id` per call. */
export function createClient(options: ClientOptions) {
  const { key, wait = 400 } = options;
  const base = options.url.replace(/\/+$/, "");
  const to = connect(base, key);
  const visitor = visitorOf(options);
  const events = eventsOf(to, visitor, base + "/v1/events?key=" + encodeURIComponent(key), wait);
  const flags = flagsOf(to, visitor, linked);
  const whenSeen = watcher();
  const viewed = new Set<string>();
  let link: Promise<unknown> | null = null;

  /** Link both IDs once: a flag is evaluated for the unit that will be reported. */
  async function linked() {
    const anonymousId = visitor.anonymousId();
    if (!link && visitor.granted && visitor.unitId && anonymousId)
      link = to.post("/v1/identify", linkOf(visitor.unitId, anonymousId));
    // The platform is away: the flag says so itself.
    await link?.catch(() => (link = null));
  }
  const linkOf = (userId: string, anonymousId: string): Fields => ({ messageId: newId(), userId, anonymousId });

  const filled = (fields: Fields, options?: RequestOptions): Fields => ({ ...fields, ...visitor.forced(), ...visitor.about(options) });
  const ask = async (path: string, fields: Fields, about?: RequestOptions, signal?: AbortSignal) => {
    const answer = await to.post(path, filled(fields, about), signal);
    if (answer.survey) options.onSurvey?.(answer);
    return answer;
  };
  const list =
    (name: string) =>
    (surface: string, options?: ListOptions, signal?: AbortSignal): Promise<Slate> =>
      ask("/v1/" + name, { surface }, options, signal);
  const recommend = list("recommend");

  const client = {
    recommend,
    popular: list("popular"),
    trending: list("trending"),
    latest: list("latest"),
    similar: (surface: string, item_id: string, options?: ListOptions, signal?: AbortSignal) =>
      list("similar")(surface, { item_id, ...options }, signal),
    search: (surface: string, q: string, options?: ListOptions, signal?: AbortSignal) =>
      list("search")(surface, { q, ...options }, signal),
    /** Recommend, but wait no longer than `timeout` milliseconds (500): then your own fallback shows. */
    async show(surface: string, options?: (ListOptions & { timeout?: number }) | null, fallback?: (why: Error) => void): Promise<Slate | null> {
      const { timeout = 500, ...rest } = options || {};
      const stop = new AbortController();
      const late = setTimeout(() => stop.abort(), timeout);
      try {
        return await recommend(surface, rest, stop.signal);
      } catch (error) {
        fallback?.(error as Error);
        return null;
      } finally {
        clearTimeout(late);
      }
    },
    compare: (surface: string, options?: ListOptions): Promise<Comparison> => ask("/v1/compare", { surface }, options),
    classify: (surface: string, text: string, options?: ClassifyOptions, signal?: AbortSignal): Promise<Classification> =>
      ask("/v1/classify", { surface, text }, options, signal),
    /** Choose one of some actions; `default` (the first) is what you would take by yourself. */
    rank: (surface: string, actions: Action[], options?: RankOptions, signal?: AbortSignal): Promise<Decision> =>
      ask("/v1/rank", { surface, actions }, options, signal),
    /** Say how good the action of a decision was: sent until it is acknowledged, the first reward counts. Named parts add up. */
    reward: async (recommendation_id: string, value: number, part?: string): Promise<RewardReceipt> =>
      to.insist("/v1/reward", { recommendation_id, value, part, ...visitor.limits() }).catch(to.refuse),
    chat: (surface: string, options?: ChatOptions, signal?: AbortSignal): Promise<ChatAnswer> =>
      ask("/v1/chat/completions", { model: surface }, options, signal),
    /** The answer of any path to a visitor, its body unread: for `chatStream`, and for what has no method. */
    open: async (path: string, fields: Fields, options?: RequestOptions, signal?: AbortSignal): Promise<Response> =>
      to.open(path, filled(fields, options), signal),
    track: events.track,
    flush: events.flush,
    feedback: async (fields: FeedbackFields): Promise<Fields> =>
      to.insist("/v1/feedback", { feedback_id: newId(), ...visitor.about(fields) }).catch(to.refuse),
    /** Call `act` when half of an element was in sight for a second; returns what ends the watch. */
    whenSeen,
    /** Report an event `view` when the element was in sight: once per slate and item. */
    viewed(element: Element, fields: EventFields) {
      const once = fields.recommendation_id && fields.recommendation_id + fields.item_id;
      return whenSeen(element, () => {
        if (!once || !viewed.has(once)) events.track("view", fields);
        if (once) viewed.add(once);
      });
    },
    flag: flags.flag,
    flags: flags.flags,
    exposed: flags.exposed,
    /** A visitor signed in: the anonymous ID stays linked, so the variant does not change. */
    async identify(unit_id: string): Promise<Fields> {
      visitor.unitId = unit_id;
      const anonymousId = visitor.anonymousId();
      if (!visitor.granted || !anonymousId) return { success: false };
      link = to.insist("/v1/identify", linkOf(unit_id, anonymousId));
      return link.catch(to.refuse) as Promise<Fields>;
    },
    consent(value: Consent) {
      visitor.consent = value;
      if (value === "denied") {
        events.drop();
        flags.drop();
      }
      if (value === "granted") {
        events.release();
        flags.release();
        if (visitor.unitId) client.identify(visitor.unitId).catch(() => {}); // warned of already
      }
    },
    /** The visitor's own ID, for a server or another tool of the page. */
    anonymousId: visitor.anonymousId,
  };
  return client;
}
