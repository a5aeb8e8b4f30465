// React: a provider, hooks, and <Viewed>. Rendered on a server they request nothing: hand them what the server
// requested (`initial`, `initialFlags`), and the browser shows it without a second request or exposure.

import {
  createContext, createElement, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore,
  type ComponentPropsWithoutRef, type ElementType, type ReactElement, type ReactNode,
} from "react";
import {
  flagValue, type Client, type FeedbackFields, type Fields, type Flags, type Item, type ListOptions, type Slate,
} from "@bakeoff/js";
import { LOADING, storeOf, type Loaded, type Store } from "./store.js";

interface Provided {
  client: Client;
  store: Store;
  attributes: Fields | undefined;
  first: Loaded<Flags> | null;
}

const Context = createContext<Provided | null>(null);

export interface ProviderProps {
  client: Client;
  /** By which flags are targeted, such as the country. */
  attributes?: Fields;
  /** What `client.flags()` answered on the server. */
  initialFlags?: Flags;
  children?: ReactNode;
}

export function BakeoffProvider({ client, attributes, initialFlags, children }: ProviderProps): ReactElement {
  const key = JSON.stringify(attributes);
  // The server's flags are those of the attributes that it knew.
  const [known] = useState(() => (initialFlags ? { key, state: loaded(initialFlags) } : null));
  const first = known && known.key === key ? known.state : null;
  const provided = useMemo(
    () => ({ client, store: storeOf(client), attributes: key ? JSON.parse(key) : undefined, first }),
    [client, key, first],
  );
  return <Context.Provider value={provided}>{children}</Context.Provider>;
}

const loaded = <T,>(data: T): Loaded<T> => ({ data, loading: false, error: null });

function useProvided(): Provided {
  const provided = useContext(Context);
  if (!provided) throw new Error("<BakeoffProvider> is missing, must be around components that use Bakeoff.");
  return provided;
}

/** The client, for events and all else. */
export const useBakeoff = (): Client => useProvided().client;

export interface RecommendationsOptions extends ListOptions {
  /** `recommend` unless you say otherwise; `similar` needs `item_id`, `search` needs `q`. */
  list?: "recommend" | "similar" | "popular" | "trending" | "latest" | "search";
  item_id?: string;
  q?: string;
  /** The slate that the server requested: it is shown, and not requested again. */
  initial?: Slate | null;
  /** false: request nothing yet. */
  enabled?: boolean;
}

export interface Recommendations {
  slate: Slate | null;
  items: Item[];
  loading: boolean;
  /** The last request's, with the platform's sentence. */
  error: Error | null;
  refresh: () => void;
}

const NO_ITEMS: Item[] = [];
const IDLE: Loaded<never> = { data: null, loading: false, error: null };

/** Recommendations of a surface: one request per surface and options, however often the component is mounted. */
export function useRecommendations(surface: string, options: RecommendationsOptions = {}): Recommendations {
  const { client, store } = useProvided();
  const { initial, enabled = true, list = "recommend", ...fields } = options;
  const key = JSON.stringify([list, surface, fields]);
  // The server's slate answers what was rendered first; other options are another question.
  const [first] = useState(() => (initial ? { key, state: loaded(initial) } : null));
  const start = first && first.key === key ? first.state : null;

  const request = useCallback((): Promise<Slate> => {
    const [, , rest] = JSON.parse(key) as [string, string, ListOptions & { item_id?: string; q?: string }];
    const { item_id = "", q = "", ...plain } = rest;
    if (list === "similar") return client.similar(surface, item_id, plain);
    if (list === "search") return client.search(surface, q, plain);
    return client[list](surface, plain);
  }, [client, list, surface, key]);

  const subscribe = useCallback(
    (listener: () => void) => (enabled ? store.slates.subscribe(key, listener, start, request) : () => {}),
    [store, key, enabled, start, request],
  );
  const rest = start || (enabled ? LOADING : IDLE);
  const state = useSyncExternalStore<Loaded<Slate>>(subscribe, () => (enabled && store.slates.get(key)) || rest, () => rest);
  const refresh = useCallback(() => void store.slates.load(key, request), [store, key, request]);
  return { slate: state.data, items: state.data?.items || NO_ITEMS, loading: state.loading, error: state.error, refresh };
}

/** All flags of the visitor, evaluated once per set of attributes; showing one is for `useFlag`. */
export function useFlags(): { flags: Flags | null; loading: boolean; error: Error | null; refresh: () => void } {
  const { client, store, attributes, first } = useProvided();
  const key = JSON.stringify(attributes) || "";
  const request = useCallback(() => client.flags(attributes), [client, attributes]);
  const subscribe = useCallback(
    (listener: () => void) => store.flags.subscribe(key, listener, first, request),
    [store, key, first, request],
  );
  const rest = first || LOADING;
  const state = useSyncExternalStore<Loaded<Flags>>(subscribe, () => store.flags.get(key) || rest, () => rest);
  const refresh = useCallback(() => void store.flags.load(key, request), [store, key, request]);
  return { flags: state.data, loading: state.loading, error: state.error, refresh };
}

/** A flag's value, or the fallback while it is not known; the exposure is reported unless `<Viewed flag>` does it. */
export function useFlag<T>(key: string, fallback: T, { exposure = "render" }: { exposure?: "render" | "viewed" } = {}): T {
  const { client } = useProvided();
  const evaluation = useFlags().flags?.[key];
  useEffect(() => {
    if (evaluation && exposure === "render") client.exposed(evaluation);
  }, [client, evaluation, exposure]);
  return flagValue(evaluation, fallback);
}

/** Return a function that sends feedback about a slate, or about one of its items. */
export function useFeedback(
  slate: Pick<Slate, "recommendation_id"> | null,
): (kind: FeedbackFields["kind"], value?: unknown, about?: { item_id?: string; withdrawn?: boolean }) => Promise<Fields> {
  const { client } = useProvided();
  const recommendation_id = slate?.recommendation_id;
  return useCallback(
    async (kind, value, about) => {
      if (!recommendation_id) throw new Error("slate == null, must be an answer: there is nothing to send feedback about.");
      return client.feedback({ recommendation_id, kind, value, ...about });
    },
    [client, recommendation_id],
  );
}

type OfItem = { slate: Pick<Slate, "recommendation_id">; item: Pick<Item, "item_id">; flag?: undefined };
type OfFlag = { flag: string; slate?: undefined; item?: undefined };
export type ViewedProps<E extends ElementType = "div"> = (OfItem | OfFlag) & { as?: E; children?: ReactNode } & Omit<
    ComponentPropsWithoutRef<E>,
    "as" | "children" | "slate" | "item" | "flag"
  >;

/** An element that reports itself when half of it was in sight for a second: an item's view, or a flag's exposure. */
export function Viewed<E extends ElementType = "div">({ as, slate, item, flag, ...rest }: ViewedProps<E>): ReactElement {
  const element = useRef<Element>(null);
  const { client } = useProvided();
  const recommendation_id = slate?.recommendation_id;
  const item_id = item?.item_id;
  useEffect(
    () => (element.current && recommendation_id ? client.viewed(element.current, { recommendation_id, item_id }) : undefined),
    [client, recommendation_id, item_id],
  );
  return (
    <>
      {createElement(as || "div", { ...rest, ref: element })}
      {flag !== undefined && <SeenFlag flag={flag} element={element} />}
    </>
  );
}

function SeenFlag({ flag, element }: { flag: string; element: { current: Element | null } }): null {
  const { client } = useProvided();
  const evaluation = useFlags().flags?.[flag];
  useEffect(
    () => (evaluation && element.current ? client.whenSeen(element.current, () => client.exposed(evaluation)) : undefined),
    [client, evaluation, element],
  );
  return null;
}
