// What hooks of one client share: requests under way and their answers, so that an effect that runs twice (strict
// mode) or two components with one question make one request, and with it one exposure.

import { BakeoffError, type Client, type Flags } from "@bakeoff/js";

export interface Loaded<T> {
  data: T | null;
  loading: boolean;
  error: Error | null;
}

interface Entry<T> {
  state: Loaded<T>;
  listeners: Set<() => void>;
  round: number;
}

export const LOADING: Loaded<never> = { data: null, loading: true, error: null };

/** Answers by what was requested; an answer lives as long as somebody shows it. */
export class Answers<T> {
  #entries = new Map<string, Entry<T>>();

  /** What is known; the same object until it changes. */
  get(key: string): Loaded<T> | undefined {
    return this.#entries.get(key)?.state;
  }

  /** Show an answer, and request it unless it is there or under way; returns what ends that. */
  subscribe(key: string, listener: () => void, first: Loaded<T> | null, request: () => Promise<T>): () => void {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = { state: first || LOADING, listeners: new Set(), round: 0 };
      this.#entries.set(key, entry);
      if (!first) void this.load(key, request);
    }
    const { listeners } = entry;
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      // Strict mode leaves and comes back at once; who comes back later gets a new answer.
      setTimeout(() => {
        if (!listeners.size && this.#entries.get(key)?.listeners === listeners) this.#entries.delete(key);
      });
    };
  }

  /** Request an answer; the last one stays until the next is there. */
  async load(key: string, request: () => Promise<T>): Promise<void> {
    const entry = this.#entries.get(key);
    if (!entry) return;
    const round = ++entry.round;
    const set = (state: Loaded<T>) => {
      if (round !== entry.round) return; // a later request decides
      entry.state = state;
      for (const listener of entry.listeners) listener();
    };
    const { data } = entry.state;
    set({ data, loading: true, error: null });
    try {
      set({ data: await request(), loading: false, error: null });
    } catch (error) {
      const reason = error instanceof Error ? error : new BakeoffError(0, "failed", String(error));
      set({ data, loading: false, error: reason });
    }
  }
}

export class Store {
  slates = new Answers<import("@bakeoff/js").Slate>();
  flags = new Answers<Flags>();
}

const stores = new WeakMap<Client, Store>();

/** The store of a client, which outlives a provider that is mounted twice. */
export function storeOf(client: Client): Store {
  let store = stores.get(client);
  if (!store) stores.set(client, (store = new Store()));
  return store;
}
