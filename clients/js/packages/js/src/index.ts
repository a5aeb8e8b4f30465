export { chatStream } from "./chat.js";
export { createClient, type Client } from "./client.js";
export { flagValue } from "./flags.js";
export { BakeoffError } from "./transport.js";
export { cookieOf, idFromCookies } from "./visitor.js";
export type * from "./types.js";
