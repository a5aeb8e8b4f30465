// Flags, evaluated by the platform (OFREP); the page reports what it showed, once per visitor and variant.

import { now } from "./events.js";
import type { Transport } from "./transport.js";
import type { Evaluation, Fields, Flags } from "./types.js";
import { newId, type Visitor } from "./visitor.js";

/** Return a flag's value, or the code's default where it has none of its type. */
export function flagValue<T>(evaluation: Evaluation | undefined, fallback: T): T {
  const value = evaluation?.value;
  const fits = value !== undefined && (fallback == null || typeof value === typeof fallback);
  return fits ? (value as T) : fallback;
}

const evaluationOf = ({ key, value, variant = "", reason, metadata }: Fields & { metadata?: Fields }): Evaluation =>
  ({ key, value, variant, reason, counts: metadata?.counts === true }) as Evaluation;

export function flagsOf(to: Transport, visitor: Visitor, linked: () => Promise<unknown>) {
  const reported = new Set<string>();
  let waiting: Fields[] = [];

  async function report(properties: Fields) {
    const { anonymous_id, unit_id, consent } = visitor.about<{ consent?: Fields }>();
    const categoryPreferences = { Analytics: true, Training: consent?.training !== false };
    const message = {
      messageId: newId(),
      anonymousId: anonymous_id,
      userId: unit_id,
      event: "Experiment Viewed",
      timestamp: now(),
      context: { consent: { categoryPreferences } },
      properties,
    };
    await to.insist("/v1/track", message);
  }
  const quietly = (properties: Fields) => void report(properties).catch(to.refuse).catch(() => {});

  async function evaluate(path: string, attributes?: Fields, signal?: AbortSignal) {
    await linked(); // or the platform would hash an ID that it does not know yet
    const { anonymous_id, unit_id } = visitor.about();
    return to.post("/ofrep/v1/evaluate/flags" + path, { context: { targetingKey: unit_id || anonymous_id, ...attributes } }, signal);
  }

  /** Report that the visitor sees a flag's variant; again is harmless. */
  function exposed({ key, variant, counts }: Evaluation) {
    const { anonymous_id, unit_id } = visitor.about();
    const once = JSON.stringify([unit_id || anonymous_id, key, variant]);
    if (!counts || visitor.consent === "denied" || reported.has(once)) return;
    reported.add(once);
    const properties = { experiment_id: key, variation_id: variant };
    if (visitor.granted) quietly(properties);
    else waiting.push(properties);
  }

  return {
    exposed,
    /** Evaluate all flags of the project; nothing is reported. */
    async flags(attributes?: Fields, signal?: AbortSignal): Promise<Flags> {
      const { flags } = await evaluate("", attributes, signal);
      return Object.fromEntries(flags.map((one: Fields) => [one.key, evaluationOf(one)]));
    },
    /** Evaluate a flag and report what it shows; where there is no value, the fallback. */
    async flag<T>(key: string, fallback: T, attributes?: Fields): Promise<T> {
      try {
        const evaluation = evaluationOf(await evaluate("/" + encodeURIComponent(key), attributes));
        const value = flagValue(evaluation, fallback);
        if (value === evaluation.value) exposed(evaluation);
        else if (evaluation.value !== undefined)
          to.warn("type_of_" + key, `flag '${key}' is a ${typeof evaluation.value}, must be a ${typeof fallback}.`);
        return value;
      } catch {
        return fallback; // warned of already
      }
    },
    release() {
      for (const properties of waiting.splice(0)) quietly(properties);
    },
    drop() {
      waiting = [];
    },
  };
}
