// What the platform takes and answers; docs/http.md has every field.

export type Fields = Record<string, unknown>;

/** pending: answers without a trace, events wait; granted: all is sent; denied: what waits is dropped. */
export type Consent = "pending" | "granted" | "denied";

/** Where the anonymous ID lives: `cookie` lets a server read it, `none` makes one per page. */
export type IdStorage = "local" | "cookie" | "none";

export interface ClientOptions {
  /** Of the platform, such as https://bakeoff.example. */
  url: string;
  /** pk_… in a page; sk_… in a server alone. */
  key: string;
  /** Of a user who signed in. */
  unitId?: string;
  /** Of the visitor, where your server knows it; a page finds or makes its own. */
  anonymousId?: string;
  /** `granted` unless you say otherwise. */
  consent?: Consent;
  /** `local` in a page; a server stores nothing. */
  storage?: IdStorage;
  /** Milliseconds that events wait for each other: 400. */
  wait?: number;
  /** Called with each answer whose visitor is to be asked a question: load what asks it only then. */
  onSurvey?: (answer: Answer & { survey: Survey }) => void;
}

export interface Item {
  item_id: string;
  position: number;
  score: number | null;
  title: string;
  url?: string;
  image_url?: string;
  price?: number;
  labels?: string[];
  group_id?: string;
  properties?: Fields;
  /** With `explain`: the recent item that adds most to the score. */
  because?: string;
}

export interface Answer {
  recommendation_id: string;
  surface: string;
  experiment: string | null;
  variant: string | null;
  model: string | null;
  reason: string;
  fallback: string | null;
  /** false: without consent, or because nothing could be stored. */
  recorded?: boolean;
  survey?: Survey;
}

/** The words around a question. */
export type SurveyWords = Partial<Record<"send" | "dismiss" | "thanks" | "comment" | "failed", string>>;

/** A question that the visitor may be asked about this answer; <bakeoff-survey> asks it. */
export interface Survey {
  key: string;
  kind: "nps" | "csat" | "rating" | "choice" | "choices" | "text";
  question: string;
  /** The lowest and the highest answer. */
  scale?: [number, number];
  choices?: string[];
  /** Whether a text may be added. */
  comment: boolean;
  /** For which a browser is not asked again. */
  period_days: number;
  /** Texts by language, such as zh-Hans; an answer names the choices above. */
  translations?: Record<string, { question: string; choices: string[]; words?: SurveyWords }>;
  /** What stands around a question that is not in English. */
  words?: SurveyWords;
}

export interface Slate extends Answer {
  items: Item[];
  hint?: string;
}

export interface Classification extends Answer {
  labels: { label: string; score: number }[];
  decision: string | null;
  abstained: boolean;
  expected_cost?: number | null;
}

export interface Comparison {
  recommendation_id: string;
  surface: string;
  a: Item[];
  b: Item[];
}

/** What tells contexts, or actions, apart; a number stays a number and a text a text in every request. */
export type Features = Record<string, string | number | boolean | null>;

/** What may be chosen; all actions of a request have features of the same names. */
export interface Action {
  id: string;
  features: Features;
}

/** The action that was chosen, with its probability; `reward` names its recommendation_id. */
export interface Decision extends Answer {
  action: string;
  propensity: number;
  /** The action that you would take by yourself. */
  default: string;
  hint?: string;
}

/** A reward that is sent again is a duplicate, and changes nothing. */
export interface RewardReceipt {
  accepted: number;
  duplicates: number;
  durability: string;
}

/** What every request for an answer may name. */
export interface RequestOptions {
  unit_id?: string;
  anonymous_id?: string;
  context?: Fields;
  consent?: { analytics?: boolean; training?: boolean };
  force?: string;
  /** With a secret key: variants to force, by experiment. */
  overrides?: Record<string, string>;
  /** With a secret key: false where the visitor sees the answer later. */
  expose?: boolean;
}

/** Rules of slates stand beside the other fields: docs/slate-rules.md. */
export interface ListOptions extends RequestOptions {
  k?: number;
  candidates?: string[];
  exclude?: string[];
  fields?: string[];
  explain?: boolean;
  [rule: string]: unknown;
}

export interface ClassifyOptions extends RequestOptions {
  text?: string;
  features?: Features;
  k?: number;
}

/** An action counts from its decision on: `expose` is always true. */
export interface RankOptions extends Omit<RequestOptions, "expose"> {
  features?: Features;
  default?: string;
}

/** `messages`, `tools` and parameters of the model need a secret key; a page sends variables. */
export interface ChatOptions extends RequestOptions {
  variables?: Record<string, string | number>;
  messages?: { role: string; content: unknown }[];
  [parameter: string]: unknown;
}

export interface ChatAnswer {
  /** Of the generation: what feedback and events name as recommendation_id. */
  id: string;
  model: string;
  choices: { index: number; message: { role: string; content: string | null }; finish_reason: string | null }[];
  usage?: Fields | null;
  bakeoff: {
    generation_id: string;
    experiment: string | null;
    variant: string | null;
    version: string | null;
    reason: string;
    fallback: string | null;
  };
}

/** A part of a streamed answer. */
export interface ChatPart {
  /** Of the generation, as in ChatAnswer. */
  id: string;
  text: string;
  finish_reason: string | null;
}

export interface EventFields extends RequestOptions {
  item_id?: string;
  recommendation_id?: string;
  value?: number;
  properties?: Fields;
  occurred_at?: string;
  event_id?: string;
}

export interface FeedbackFields extends RequestOptions {
  recommendation_id: string;
  kind:
    | "thumb" | "rating" | "reasons" | "text" | "hide" | "correction" | "pairwise"
    | "edit" | "accept" | "copy" | "regenerate" | "abandon" | "survey";
  value?: unknown;
  item_id?: string;
  withdrawn?: boolean;
  feedback_id?: string;
}

/** What became of events: how many are stored, and which are not, by their place in the batch. */
export interface Receipt {
  accepted: number;
  rejected: { index: number; code: string; message: string }[];
}

/** What a flag answers to a visitor; without a value the code's default applies. */
export interface Evaluation {
  key: string;
  value?: unknown;
  variant: string;
  reason: string;
  /** Whether showing it is an exposure. */
  counts: boolean;
}

export type Flags = Record<string, Evaluation>;
