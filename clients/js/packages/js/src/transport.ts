// Requests to one platform: refusals as errors, retries with back-off, and one warning per reason.

import type { Fields } from "./types.js";

const TRIES = 6;
const MAX_PAUSE = 30_000;
/** Browsers refuse more of what outlives its page, counted over all that is under way. */
export const MAX_BYTES = 60_000;

/** A refusal with the platform's sentence; status 0: nobody answered. */
export class BakeoffError extends Error {
  declare readonly status: number;
  declare readonly code: string;
  declare readonly field: string | null;
  /** Milliseconds, where the platform says how long to wait. */
  declare readonly retryAfter: number;

  constructor(status: number, code: string, message: string, field: string | null = null, retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, field, retryAfter });
  }
}

/** Text cut inside an emoji is not Unicode: JSON escapes the half that is left, and nobody stores it. */
export const pack = (body: unknown) =>
  JSON.stringify(body).replace(/\\\\|\\ud[89a-f]../g, (escape) => (escape[1] === "u" ? "\\ufffd" : escape));
export const bytes = (text: string) => new TextEncoder().encode(text).length;

export type Transport = ReturnType<typeof connect>;

export function connect(base: string, key: string) {
  const warned = new Set<string>();

  /** Say once per reason what the platform refuses: a page that is set up wrong must not fail in silence. */
  function warn(code: string, message: string) {
    if (!warned.has(code)) console.warn("Bakeoff: " + message);
    warned.add(code);
  }

  async function send(path: string, body: unknown, signal?: AbortSignal, keepalive = false): Promise<Response> {
    const packed = pack(body);
    let answer;
    try {
      answer = await fetch(base + path, {
        method: "POST",
        keepalive: keepalive && bytes(packed) < MAX_BYTES,
        signal,
        headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
        body: packed,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new BakeoffError(0, "no_answer", base + " does not answer.");
    }
    if (answer.ok) return answer;
    const data = await answer.json().catch(() => ({})); // a proxy's page
    const { code, message, field } = data.error || { code: data.errorCode, message: data.errorDetails };
    const sentence = message || "HTTP " + answer.status;
    const pause = Number(answer.headers.get("Retry-After")) || 0;
    throw new BakeoffError(answer.status, code || "refused", sentence, field, pause * 1000);
  }

  async function read(answer: Response): Promise<any> {
    return answer.json().catch(() => {
      throw new BakeoffError(0, "no_json", base + " does not answer in JSON."); // a network's sign-in page
    });
  }

  /** Warn of a failure, and pass it on. */
  function refuse(error: unknown): never {
    if (error instanceof BakeoffError) warn(error.code, error.message);
    throw error;
  }

  return {
    warn,
    /** The answer before its body is read. */
    open: (path: string, body: Fields, signal?: AbortSignal) => send(path, body, signal).catch(refuse),
    /** Ask once: a page that waits has no time for retries. */
    post: (path: string, body: Fields, signal?: AbortSignal): Promise<any> =>
      send(path, body, signal).then(read).catch(refuse),
    /** Send until it is acknowledged: the body names an ID, so that it counts once. */
    async insist(path: string, body: Fields): Promise<any> {
      for (let tried = 1; ; tried++) {
        try {
          return await read(await send(path, body, undefined, tried === 1));
        } catch (error) {
          const { status, code, retryAfter } = error as BakeoffError;
          // 502 and 504 are a proxy's words for "the platform is away"; a quota lasts until the next month.
          const again = !status || (status === 429 && code !== "quota_used_up") || status > 501;
          if (tried === TRIES || !again) throw error;
          const pause = Math.max(2 ** tried * 100 * (1 + Math.random()), Math.min(retryAfter, MAX_PAUSE));
          await new Promise((go) => setTimeout(go, pause));
        }
      }
    },
    refuse,
  };
}
