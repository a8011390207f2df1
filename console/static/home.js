"use strict";
const $ = id => document.getElementById(id);
const LIVE_MOST = 100;
let kind = "week";
let community = "";
let source = null;

// Text only ever enters as text: names and messages are other people's.
const node = (tag, text, cls) => { const n = document.createElement(tag); n.textContent = text ?? ""; if (cls) n.className = cls; return n; };

const pause = ms => new Promise(done => setTimeout(done, ms));
let signedIn = false;

async function ask(path, options = {}) {
  const headers = community ? { "Guildhall-Community": community } : {};
  for (let tries = 0; ; tries++) {
    const reply = await fetch(path, { ...options, headers });
    if (reply.status === 401 && signedIn && tries < 20) {
      // Each service learns of a new session by itself, some a moment after the one that began it.
      await pause(500);
      continue;
    }
    if (!reply.ok) throw Object.assign(new Error(`${path}: ${reply.status}`), { status: reply.status });
    return reply.status === 204 ? null : reply.json();
  }
}

async function health() {
  try {
    const reply = await fetch("/readyz");
    const { checks } = await reply.json();
    $("health").replaceChildren(...checks.map(c => {
      const item = node("li", c.name + (c.detail && c.detail !== "ok" ? ` ${c.detail}` : ""), c.ok ? "ok" : "bad");
      return item;
    }));
  } catch {
    $("health").replaceChildren(node("li", "not answering", "bad"));
  }
}

async function board() {
  try {
    const page = await ask(`/v1/boards/xp?period=${kind}&limit=20`);
    $("board").replaceChildren(...page.items.map(line => {
      const row = document.createElement("tr");
      row.append(node("td", line.rank), node("td", line.display_name), node("td", line.score, "n"));
      return row;
    }));
    $("board-note").textContent = page.total ? `${page.total} members, ${page.period.key}` : "Nobody yet in this period.";
  } catch (error) {
    $("board-note").textContent = error.message;
  }
}

function show(when, ...parts) {
  const line = document.createElement("li");
  line.append(node("time", new Date(when).toLocaleTimeString()), ...parts);
  $("live").prepend(line);
  while ($("live").children.length > LIVE_MOST) $("live").lastChild.remove();
}

let redraw = 0;
function later() {
  clearTimeout(redraw);
  redraw = setTimeout(board, 300);
}

function listen() {
  // EventSource sends no headers of ours: the stream is read by hand, so that the community can be named.
  const stop = new AbortController();
  source?.abort();
  source = stop;
  let last = "";
  (async () => {
    while (!stop.signal.aborted) {
      try {
        const headers = { ...(community && { "Guildhall-Community": community }), ...(last && { "Last-Event-ID": last }) };
        const reply = await fetch("/v1/events/stream", { headers, signal: stop.signal });
        if (!reply.ok) throw new Error(String(reply.status));
        $("state").textContent = "connected";
        const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) break;
          const blocks = (rest + value).split("\n\n");
          rest = blocks.pop();
          for (const block of blocks) {
            const fields = Object.fromEntries(block.split("\n").filter(l => l && l[0] !== ":").map(l => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 2)]));
            if (fields.id) last = fields.id;
            if (fields.data) arrived(fields.event, JSON.parse(fields.data));
          }
        }
      } catch {
        if (stop.signal.aborted) return;
      }
      $("state").textContent = "waiting for the stream";
      await pause(1000);
    }
  })();
}

async function recent() {
  const { items } = await ask("/v1/events?limit=10").catch(() => ({ items: [] }));
  for (const item of items.reverse()) arrived("activity", item);
}

function arrived(event, data) {
  if (event === "activity") {
    show(data.occurred_at, node("span", `${data.type} `), node("span", data.actor || "", "quiet"));
  } else if (event === "scored") {
    const paid = data.decisions.filter(d => d.amount > 0);
    if (paid.length) {
      show(data.effective_at, node("b", paid.map(d => `+${d.amount} ${d.unit}`).join(", ")), node("span", ` ${data.event_type} · ${[...new Set(paid.map(d => d.rule_id))].join(", ")}`, "quiet"));
      later();
    }
  }
}

async function enter() {
  let found;
  try {
    await ask("/v1/sessions/current");
    signedIn = true;
    // Not the session's own list: that is empty for who may see all of them.
    found = (await ask("/v1/communities?limit=200")).items;
  } catch {
    $("welcome").hidden = false;
    return;
  }
  $("room").hidden = false;
  $("out").hidden = false;
  $("community").replaceChildren(...found.map(c => { const option = node("option", c.name); option.value = c.id; return option; }));
  $("which").hidden = found.length < 2;
  community = found[0]?.id ?? "";
  board();
  recent().then(listen);
}

$("periods").addEventListener("click", event => {
  if (!event.target.dataset.kind) return;
  kind = event.target.dataset.kind;
  for (const button of $("periods").children) button.setAttribute("aria-pressed", String(button === event.target));
  board();
});
$("community").addEventListener("change", event => { community = event.target.value; $("live").replaceChildren(); board(); recent().then(listen); });
$("out").addEventListener("click", async () => { await fetch("/v1/sessions/current", { method: "DELETE" }); location.reload(); });

health();
setInterval(health, 5000);
enter();
