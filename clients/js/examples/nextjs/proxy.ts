// Every visitor has an ID before the first page is rendered, so that server and browser mean the same person.

import { cookieOf, idFromCookies } from "@bakeoff/js";
import { NextResponse, type NextRequest } from "next/server";

export function proxy(request: NextRequest) {
  const cookies = request.headers.get("cookie") ?? "";
  if (idFromCookies(cookies)) return NextResponse.next();
  const cookie = cookieOf(crypto.randomUUID(), request.nextUrl.protocol === "https:");
  const headers = new Headers(request.headers);
  headers.set("cookie", [cookies, cookie.split(";")[0]].filter(Boolean).join("; "));
  const answer = NextResponse.next({ request: { headers } });
  answer.headers.append("Set-Cookie", cookie);
  return answer;
}

export const config = { matcher: "/" };
