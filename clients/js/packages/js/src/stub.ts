// Calls before the embed is there: they wait in a queue, and the embed answers them when it comes.

import type { Client } from "./client.js";
import type { Consent, IdStorage } from "./types.js";

export interface EmbedOptions {
  /** Of the script, such as https://bakeoff.example/sdk/v1.js. */
  src: string;
  key: string;
  /** The script's hash, for an address with a version. */
  integrity?: string;
  nonce?: string;
  consent?: Consent;
  storage?: IdStorage;
  /** Whether the embed asks what is due by itself; with `integrity` only if this is "on". */
  surveys?: "on" | "off";
}

type Waiting = [name: string, args: unknown[], done: (value: unknown) => void, failed: (error: unknown) => void];

/** The embed's methods; before it is there, each answers with a promise. */
export type Embedded = {
  [Name in keyof Client]: Client[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never;
};

/** Return what stands in for the embed until it is there. */
export function stub(): Embedded {
  const q: Waiting[] = [];
  const call =
    (name: string) =>
    (...args: unknown[]) =>
      new Promise((done, failed) => q.push([name, args, done, failed]));
  return new Proxy({} as Embedded, { get: (_, name) => (name === "q" ? q : call(String(name))) });
}

/** Load the embed without holding up the page, and return its stand-in. */
export function loadEmbed({ src, key, integrity, nonce, consent, storage, surveys }: EmbedOptions): Embedded {
  const script = document.createElement("script");
  Object.assign(script, { src, async: true, crossOrigin: "anonymous" });
  if (integrity) script.integrity = integrity;
  if (nonce) script.nonce = nonce;
  Object.assign(script.dataset, { key }, consent && { consent }, storage && { storage }, surveys && { surveys });
  const page = window as { bakeoff?: Embedded };
  const waiting = (page.bakeoff ||= stub());
  document.head.append(script);
  return waiting;
}
