// The pages of visitors and of agents. Texts enter the page as text alone, never as HTML.
const WORDS = await (await fetch("words.json")).json();
const POLL = 2000, TRIES = 3, isAgent = document.body.dataset.page === "agent";
const $ = (id) => document.getElementById(id);
const saved = (name, value) => {  // A page within another site may be refused storage.
  try {
    if (value !== undefined) sessionStorage.setItem(name, value);
    return sessionStorage.getItem(name);
  } catch { return null; }
};
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16)).join("-");

let language = saved("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
let conversation = isAgent ? null : saved("conversation");
let state = "bot", agent = null, last = 0, turns = [], shown = null, figures = null, queue = [];

const word = (name, values = {}) =>
  (WORDS[language][name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key]);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function call(path, body) {
  const headers = isAgent ? { Authorization: `Bearer ${saved("key")}` } : {};
  const options = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(10000) });
  if (!response.ok) throw Object.assign(new Error(), { status: response.status });
  return response.json();
}

function complain(text) {
  $("problem").textContent = text || "";
  $("problem").hidden = !text;
}

// ---- what is shown
function translate() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = word(one.dataset.word);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", word(one.dataset.label));
  for (const one of document.querySelectorAll("[data-placeholder]")) one.placeholder = word(one.dataset.placeholder);
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", one.dataset.language === language);
  document.title = word(isAgent ? "agents" : "title");
  $("examples")?.replaceChildren(...WORDS[language].examples.map((text) =>
    make("li", {}, make("button", { type: "button", className: "quiet", textContent: text, onclick: () => send(text) }))));
  $("turns").replaceChildren(...turns.map(showTurn));
  showState();
  showWhy();
  showFigures();
  if (isAgent) showQueue();
}

function showTurn(turn) {
  const names = { visitor: isAgent ? "customer" : "visitor" };
  const item = make("li", { className: `turn ${turn.author}` },
    make("span", { className: "author", textContent: word(names[turn.author] || turn.author) }),
    make("p", { className: "text", textContent: turn.text }));
  const source = turn.kind === "retrieved" && turn.sources?.[0];
  if (source) item.append(make("p", { className: "muted", textContent: word("source", source) }));
  const open = turn.kind === "clarify" && turn.chosen === null && !turns.some((one) => one.turn > turn.turn);
  if (open && !isAgent) {
    const options = [...turn.options, { intent: null, title: word("say_neither") }];
    const group = make("div", { className: "options", role: "group" }, ...options.map((one) =>
      make("button", { type: "button", textContent: one.title, onclick: () => choose(turn, one) })));
    group.setAttribute("aria-label", word("options"));
    item.append(group);
  }
  if (turn.why && turn.author === "bot" && turn.kind && !isAgent) {
    item.append(make("button", { type: "button", className: "link explain", textContent: word("why_short"),
      onclick: () => { shown = turn; $("why").open = true; showWhy(); } }));
  }
  return item;
}

function showState() {
  if (isAgent) {
    $("take").hidden = state !== "waiting";
    $("return").hidden = $("form").hidden = state !== "agent";
    return;
  }
  $("state").hidden = state === "bot";
  $("resume").hidden = state !== "waiting";
  $("person").hidden = state !== "bot";
  $("state-text").textContent = state === "agent" ? word("taken", { agent }) : word("waiting");
  $("welcome").hidden = turns.length > 0;
}

function bars(title, rows, limit) {
  const list = rows.map(({ name, score }) => {
    const fill = make("div", { className: "fill" });
    fill.style.width = `${100 * score}%`;
    return make("li", {}, make("span", { textContent: name }), make("b", { textContent: score.toFixed(2) }),
      make("div", { className: "track" }, fill));
  });
  return list.length ? [make("h3", { textContent: title }), make("ul", { className: "bars" }, ...list),
    make("p", { className: "muted", textContent: limit })] : [];
}

function showWhy() {
  const why = shown?.why;
  if (!why || isAgent) return;
  const named = (rows, key) => rows.map((one) => ({ name: one[key], score: one.score }));
  const versions = Object.entries(why.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  $("why-body").replaceChildren(
    make("p", { className: "verdict", textContent: word(WORDS[language][`is_${shown.reason}`] ? `is_${shown.reason}` : `is_${shown.kind}`) }),
    ...bars(word("intents"), named(why.intents, "intent"), word("threshold", { score: why.threshold.toFixed(2) })),
    ...bars(word("entries"), named(why.entries, "id"), word("floor", { score: why.floor.toFixed(2) })),
    make("p", { className: "muted", textContent: versions ? `${word("versions")}: ${versions}` : word("none") }));
}

function showFigures() {
  if (!figures) return;
  const time = (ms) => (ms === null ? "–" : `${ms} ms`);
  const rows = ["answer", "clarify", "retrieved", "handover"].map((kind) => [word(kind), figures[kind]]);
  rows.push([word("p50"), time(figures.p50)], [word("p95"), time(figures.p95)]);
  $("figures").replaceChildren(...rows.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));
}

// ---- the conversation
async function refresh() {
  if (!conversation) return;
  const base = isAgent ? "/api/agent/conversations" : "/api/conversations";
  const asked = conversation;
  const found = await call(`${base}/${asked}?after=${last}`);
  if (asked !== conversation) return;
  const fresh = found.turns.filter((turn) => turn.turn > last);
  const changed = fresh.length || state !== found.state || agent !== found.agent;
  ({ state, agent } = found);
  if (!changed) return;
  turns.push(...fresh);
  last = turns.length ? turns[turns.length - 1].turn : 0;
  shown = turns.findLast((turn) => turn.author === "bot") || shown;
  // Older choices lose their buttons; new turns alone are added, so that they alone are read out.
  for (const group of document.querySelectorAll(".turn .options")) group.remove();
  for (const pending of document.querySelectorAll(".pending")) pending.remove();
  $("turns").append(...fresh.map(showTurn));
  showState();
  showWhy();
  $("scroll").scrollTop = $("scroll").scrollHeight;
  if (!isAgent) figures = await call("/api/figures").catch(() => null);
  showFigures();
}

async function persist(work) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (error.status && error.status < 500) throw error;
      if (attempt === TRIES) throw error;
      await pause(500 * attempt);
    }
  }
}

async function perform(work) {
  complain("");
  if ($("typing")) $("typing").hidden = false;
  try {
    await persist(work);
    await refresh();
    return true;
  } catch (error) {
    if (error.status === 404 && !isAgent) forget();
    complain(word({ 429: "slow", 409: isAgent ? "another" : "failed" }[error.status] || "failed"));
    return false;
  } finally {
    if ($("typing")) $("typing").hidden = true;
  }
}

function forget() {
  saved("conversation", "");
  conversation = null;
  state = "bot";
}

async function send(text, key = newKey()) {
  const pending = make("li", { className: `turn pending ${isAgent ? "agent" : "visitor"}` }, make("p", { className: "text", textContent: text }));
  if ($("welcome")) $("welcome").hidden = true;
  $("turns").append(pending);
  $("scroll").scrollTop = $("scroll").scrollHeight;
  const done = await perform(async () => {
    if (!conversation) {
      conversation = (await call("/api/conversations", { language })).id;
      saved("conversation", conversation);
    }
    const base = isAgent ? "/api/agent/conversations" : "/api/conversations";
    await call(`${base}/${conversation}/messages`, { text, key });
  });
  pending.remove();
  if (done) return;
  // Under the same key, so that a message which had arrived after all is not there twice.
  const again = make("button", { type: "button", className: "link", textContent: word("again"), onclick: () => { pending.remove(); send(text, key); } });
  pending.append(make("p", { className: "muted" }, word("unsent"), " ", again));
  $("turns").append(pending);
}

const choose = (turn, option) =>
  perform(() => call(`/api/conversations/${conversation}/choices`, { turn: turn.turn, intent: option.intent })).then(() => $("text").focus());

// ---- agents
async function refreshQueue() {
  const found = await call("/api/agent/queue");
  ({ conversations: queue, figures } = found);
  $("login").hidden = true;
  $("desk").hidden = false;
  showQueue();
  showFigures();
}

function showQueue() {
  // The list is made anew every few seconds; whoever is in it with the keyboard stays there.
  const focused = document.activeElement.dataset.id;
  $("empty").hidden = queue.length > 0;
  $("waiting").replaceChildren(...queue.map((one) => {
    const minutes = Math.floor((Date.now() / 1000 - one.waiting_since) / 60);
    const note = one.state === "agent" ? word("with", one) : `${word(one.reason)} · ${word("minutes", { n: minutes })}`;
    const button = make("button", { type: "button", onclick: () => open(one.id) },
      make("span", { className: "text", textContent: one.last || "…" }), make("span", { className: "muted", textContent: note }));
    button.setAttribute("aria-current", one.id === conversation);
    button.dataset.id = one.id;
    return make("li", {}, button);
  }));
  [...$("waiting").querySelectorAll("button")].find((one) => one.dataset.id === focused)?.focus();
}

async function open(id) {
  [conversation, turns, last, state, shown] = [id, [], 0, "", null];
  $("turns").replaceChildren();
  $("welcome").hidden = true;
  complain("");
  await refresh();
  showQueue();
}

async function act(action, body) {
  if (await perform(() => call(`/api/agent/conversations/${conversation}/${action}`, body))) await refreshQueue();
}

function startAgent() {
  if (location.hash.startsWith("#")) {
    if (location.hash.length > 1) saved("key", decodeURIComponent(location.hash.slice(1)));
    history.replaceState(null, "", location.pathname);
  }
  $("name").value = saved("name") || "";
  $("login-form").onsubmit = (event) => {
    event.preventDefault();
    saved("key", $("key").value.trim());
    refreshQueue().catch(() => { $("key").setCustomValidity(word("wrong_key")); $("key").reportValidity(); });
  };
  $("key").oninput = () => $("key").setCustomValidity("");
  $("name").oninput = () => saved("name", $("name").value.trim());
  $("take").onclick = () => {
    if (!$("name").value.trim()) { complain(word("need_name")); $("name").focus(); return; }
    act("take", { agent: $("name").value.trim() }).then(() => $("text").focus());
  };
  $("return").onclick = () => act("return", {});
}

async function watch() {
  const login = (error) => { if (error.status === 401) { $("desk").hidden = true; $("login").hidden = false; } };
  for (;;) {
    if (!document.hidden) {
      if (isAgent) await refreshQueue().catch(login);
      if (isAgent || state !== "bot") await refresh().catch(() => {});
    }
    await pause(POLL);
  }
}

// ---- the start
for (const button of document.querySelectorAll("[data-language]")) {
  button.onclick = () => { language = button.dataset.language; saved("language", language); translate(); };
}
$("form").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  $("text").focus();
  send(text);
};
$("text").onkeydown = (event) => {
  // While a Chinese input method is composing, Enter is its own.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("form").requestSubmit();
};
if (isAgent) {
  startAgent();
} else {
  document.body.classList.toggle("embedded", location.search === "?embed");
  $("why").open = matchMedia("(min-width: 900px)").matches;
  $("person").onclick = () => perform(async () => {
    conversation ||= (await call("/api/conversations", { language })).id;
    saved("conversation", conversation);
    await call(`/api/conversations/${conversation}/handover`, {});
  });
  $("resume").onclick = () => perform(() => call(`/api/conversations/${conversation}/resume`, {}));
  refresh().catch((error) => { if (error.status === 404) { forget(); showState(); } });
  call("/api/figures").then((found) => { figures = found; showFigures(); }).catch(() => { $("why").hidden = true; });
}
translate();
watch();
