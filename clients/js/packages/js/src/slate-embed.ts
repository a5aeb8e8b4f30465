// <bakeoff-slate> for pages with the embed: <script src="/sdk/v1/slate.js"></script> after it.

import type { Client } from "./client.js";
import { defineSlate } from "./slate.js";

defineSlate(() => (window as { bakeoff?: Client }).bakeoff);
