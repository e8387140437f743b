// Source of the data: embedded in the page (a report) or served beside it (the live page).
import { byId } from "./dom.js";

export function makeSource() {
  const base = document.documentElement.dataset.base;
  return base === undefined ? embeddedSource() : servedSource(base);
}

async function decompressed(id) {
  const compressed = Uint8Array.from(atob(byId(id).textContent), (sign) => sign.charCodeAt(0));
  const plain = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}

function embeddedSource() {
  let details = null;
  return {
    live: false,
    document: async () => JSON.parse(byId("data").textContent),
    detail: async (number) => {
      details ??= decompressed("details");
      return (await details)[number] ?? null;
    },
    subscribe: () => {},
  };
}

async function fetched(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

function servedSource(base) {
  const details = new Map();
  return {
    live: true,
    document: () => fetched(`/api${base}/document`),
    detail: (number, version) => {
      const key = `${number}:${version}`;
      if (!details.has(key)) {
        const asked = fetched(`/api${base}/trials/${number}`);
        asked.catch(() => details.delete(key));
        details.set(key, asked);
      }
      return details.get(key);
    },
    // Follow what changed since a version of the document. `take` is called with the kind of an event and its data,
    // `connected` with whether the server is heard. A hidden page hears nothing: a browser opens few connections.
    subscribe: (version, take, connected) => {
      let stream = null, since = version ?? "";
      const open = () => {
        stream = new EventSource(`/api${base}/events?since=${encodeURIComponent(since)}`);
        for (const kind of ["rows", "live", "document"]) {
          stream.addEventListener(kind, (event) => {
            since = event.lastEventId || since;
            take(kind, event.data ? JSON.parse(event.data) : null);
          });
        }
        stream.addEventListener("open", () => connected(true));
        stream.addEventListener("error", () => connected(false));
      };
      open();
      addEventListener("pagehide", () => stream.close());
      document.addEventListener("visibilitychange", () => {
        stream.close();
        if (document.visibilityState === "visible") open();
      });
    },
  };
}
