// Questions to the agent, with the token. What fails, fails with a kind that views can explain.
import * as access from "./access.js";

export class Failed extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

export async function ask(name, query, signal) {
  const token = await access.token();
  if (!token) throw new Failed("unauthenticated", "this tab has no token");
  let response;
  try {
    response = await fetch(`/api/v1/${name}?${query}`, {
      headers: { Authorization: `Bearer ${token}` },
      cache: "no-store",
      credentials: "omit",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed("unreachable", "the agent does not answer");
  }
  const document = await response.json().catch(() => null);
  if (response.ok && document) return document;
  if (response.status === 401) access.forget();
  const said = document?.error ?? { kind: "broken", message: `the agent answered ${response.status}` };
  throw new Failed(said.kind, said.message);
}
