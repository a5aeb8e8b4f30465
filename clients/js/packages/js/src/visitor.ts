// Who the visitor is: an anonymous ID, a user's ID after a sign-in, and what they agreed to.
// Both IDs are sent together, so that a visitor's variant stays the same at a sign-in.

import type { ClientOptions, Consent, Fields } from "./types.js";

const ID = "bakeoff_id";
const FORCE = "bakeoff_force";
const YEAR = 31_536_000;

export const isPage = typeof document !== "undefined";
// A page without https has no randomUUID.
export const newId = (): string =>
  (globalThis.crypto as Partial<Crypto> | undefined)?.randomUUID?.() || Date.now() + "-" + Math.random().toString(36).slice(2);

/** Return the anonymous ID in a `Cookie` header, as `storage: "cookie"` wrote it. */
export const idFromCookies = (header = ""): string | undefined => {
  const value = ("; " + header).split("; " + ID + "=")[1]?.split(";")[0];
  try {
    return value && decodeURIComponent(value);
  } catch {
    return undefined; // somebody else wrote there
  }
};

/** Return the `Set-Cookie` header by which a server names a visitor, for the page to go on with. */
export const cookieOf = (id: string, secure = true): string =>
  `${ID}=${encodeURIComponent(id)}; path=/; max-age=${YEAR}; SameSite=Lax${secure ? "; Secure" : ""}`;

const attempt = <T>(act: () => T): T | undefined => {
  try {
    return act();
  } catch {
    return undefined; // storage is forbidden
  }
};

export type Visitor = ReturnType<typeof visitorOf>;

export function visitorOf({ unitId, anonymousId, consent = "granted", storage = "local" }: ClientOptions) {
  let ofPage = "";

  function stored(): string {
    const inStorage = attempt(() => localStorage.getItem(ID)) || "";
    if (storage === "local") {
      if (!inStorage) attempt(() => localStorage.setItem(ID, (ofPage ||= newId())));
      return inStorage || (ofPage ||= newId());
    }
    const known = idFromCookies(document.cookie);
    // A page that changes to cookies goes on with the visitors it has.
    if (!known) document.cookie = cookieOf((ofPage = inStorage || ofPage || newId()), location.protocol === "https:");
    return known || ofPage;
  }

  const visitor = {
    consent: consent as Consent,
    unitId,
    get granted() {
      return visitor.consent === "granted";
    },
    /** Before consent a visitor has an ID for this page alone; a server makes none up. */
    anonymousId(): string | undefined {
      if (anonymousId || !isPage) return anonymousId;
      return visitor.granted && storage !== "none" ? stored() : (ofPage ||= newId());
    },
    /** What the visitor did not agree to. */
    limits(): Fields {
      if (!visitor.granted) return { consent: { analytics: false, training: false } };
      const isPrivate = isPage && (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl;
      return isPrivate ? { consent: { training: false } } : {};
    },
    /** Add to some fields whom they are about, unless they say so. */
    about<T extends object>(fields?: T): T & Fields {
      const about: Fields = { anonymous_id: visitor.anonymousId(), unit_id: visitor.unitId, ...visitor.limits() };
      const all: T & Fields = Object.assign(about, fields);
      if (!all.anonymous_id && !all.unit_id)
        throw new TypeError("unitId and anonymousId are missing, one of them must name the visitor.");
      return all;
    },
    /** A link for trying out, ?bakeoff_force=TOKEN, shows its variant on this tab's pages. */
    forced(): Fields {
      if (!isPage) return {};
      const inAddress = new URLSearchParams(location.search).get(FORCE);
      if (inAddress) attempt(() => sessionStorage.setItem(FORCE, inAddress));
      const force = inAddress || attempt(() => sessionStorage.getItem(FORCE));
      return force ? { force } : {};
    },
  };
  return visitor;
}
