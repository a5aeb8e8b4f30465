// <bakeoff-survey> for pages with the embed: the embed loads it where a question is due, or
// <script src="/sdk/v1/survey.js"></script> after it, for an element at a place of the page's own.

import type { Client } from "./client.js";
import { make } from "./slate.js";
import { defineSurvey } from "./survey.js";
import type { Slate } from "./types.js";

const page = window as { bakeoff?: Client & { ask?: (slate: Slate) => void } };

const NAME = "bakeoff-survey";
defineSurvey(() => page.bakeoff);
if (page.bakeoff)
  page.bakeoff.ask = (slate) => {
    // A page without an element of its own is asked in a corner of the window; the focus stays where it is.
    document.querySelector(NAME) || document.body.append(make(NAME, { corner: "" }));
    (customElements.get(NAME) as unknown as { tell(slate: Slate): void }).tell(slate);
  };
