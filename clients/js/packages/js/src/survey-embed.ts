// <bakeoff-survey> for pages with the embed: <script src="/sdk/v1/survey.js"></script> after it.

import type { Client } from "./client.js";
import { defineSurvey } from "./survey.js";

defineSurvey(() => (window as { bakeoff?: Client }).bakeoff);
