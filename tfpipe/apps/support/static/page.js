// The pages of visitors and of agents. Texts enter the page as text alone, never as HTML.
"use strict";

const WORDS = {
  en: {
    title: "Customer service", agents: "Customer service: agents", language: "Language",
    conversation: "Conversation", messages: "Messages", person: "Talk to a person",
    lead: "What can we do for you?", hint: "Ask in your own words, in English or Chinese.",
    typing: "Looking it up", resume: "Back to the assistant", label: "Your message",
    placeholder: "Write your message", send: "Send", why: "Why this answer", today: "Today",
    why_empty: "Scores and sources of each reply appear here.", why_short: "Why?",
    visitor: "You", bot: "Assistant", agent: "Agent", customer: "Customer",
    waiting: "A person will answer you here.", taken: "{agent} is answering you.",
    neither: "Neither of these", options: "Possible meanings", source: "Source: {id}",
    unsent: "Not sent.", again: "Send again", slow: "Too many messages at once: wait a moment.",
    failed: "The service cannot be reached. Your message is kept here; try again.",
    intents: "Intents", entries: "Nearest entries", threshold: "answered from {score} on",
    floor: "given from {score} on", versions: "Models", none: "No model answered.",
    is_answer: "The best intent is sure enough.", is_clarify: "Two intents are close: asked back.",
    is_retrieved: "No intent is sure; an entry is.", is_handover: "Nothing is sure: a person answers.",
    is_asked_for_a_person: "A person was asked for.", is_model_unavailable: "The models are down: a person answers.",
    answer: "answered", clarify: "asked back", retrieved: "from entries", handover: "handed over",
    p50: "median time", p95: "95th percentile", queue: "Waiting", name: "Your name", empty: "Nobody is waiting.",
    take: "Take over", return: "Return to the assistant", pick: "Choose a conversation from the list.",
    reply: "Your answer", key: "Key (the program prints it at its start)", enter: "Enter",
    wrong_key: "This key is wrong.", another: "Another agent has this conversation.",
    need_name: "Enter your name first.", minutes: "{n} min", with: "with {agent}",
    asked_for_a_person: "asked for a person", no_sure_answer: "no sure answer",
    model_unavailable: "models were down",
    examples: ["Where is my parcel?", "My card was charged twice", "Do you ship to Norway?"],
  },
  zh: {
    title: "客户服务", agents: "客户服务：客服工作台", language: "语言",
    conversation: "对话", messages: "消息", person: "转人工客服",
    lead: "请问有什么可以帮您？", hint: "用您自己的话提问，中文或英文都可以。",
    typing: "正在查询", resume: "返回智能助手", label: "您的消息",
    placeholder: "请输入消息", send: "发送", why: "为什么这样回答", today: "今日",
    why_empty: "这里显示每条回复的分数和来源。", why_short: "为什么？",
    visitor: "您", bot: "助手", agent: "客服", customer: "客户",
    waiting: "稍后会有客服人员在这里回复您。", taken: "{agent} 正在为您服务。",
    neither: "都不是", options: "可能的意思", source: "来源：{id}",
    unsent: "未发送。", again: "重新发送", slow: "消息太频繁，请稍等。",
    failed: "暂时连接不上服务。您的消息保留在这里，请重试。",
    intents: "意图", entries: "最接近的条目", threshold: "达到 {score} 才回答",
    floor: "达到 {score} 才采用", versions: "模型", none: "没有模型应答。",
    is_answer: "最可能的意图足够确定。", is_clarify: "两个意图接近，需要您确认。",
    is_retrieved: "意图不确定，条目足够接近。", is_handover: "都不确定，转人工回答。",
    is_asked_for_a_person: "客户要求人工。", is_model_unavailable: "模型不可用，转人工回答。",
    answer: "直接回答", clarify: "请客户确认", retrieved: "来自条目", handover: "转人工",
    p50: "耗时中位数", p95: "耗时 95 分位", queue: "等待中", name: "您的名字", empty: "没有客户在等待。",
    take: "接手", return: "交还助手", pick: "请从列表中选择一个对话。",
    reply: "您的回复", key: "口令（程序启动时会显示）", enter: "进入",
    wrong_key: "口令不正确。", another: "另一位客服正在处理这个对话。",
    need_name: "请先填写您的名字。", minutes: "{n} 分钟", with: "{agent} 处理中",
    asked_for_a_person: "客户要求人工", no_sure_answer: "没有确定的答案",
    model_unavailable: "模型当时不可用",
    examples: ["我的包裹到哪儿了？", "为什么扣了我两次钱？", "运费是多少？"],
  },
};
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
    const options = [...turn.options, { intent: null, title: word("neither") }];
    const group = make("div", { className: "options", role: "group" }, ...options.map((one) =>
      make("button", { type: "button", textContent: one.title, onclick: () => choose(turn, one) })));
    group.setAttribute("aria-label", word("options"));
    item.append(group);
  }
  if (turn.why && turn.author === "bot" && turn.kind && !isAgent) {
    item.append(make("button", { type: "button", className: "link", textContent: word("why_short"),
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
  $("empty").hidden = queue.length > 0;
  $("waiting").replaceChildren(...queue.map((one) => {
    const minutes = Math.floor((Date.now() / 1000 - one.waiting_since) / 60);
    const note = one.state === "agent" ? word("with", one) : `${word(one.reason)} · ${word("minutes", { n: minutes })}`;
    const button = make("button", { type: "button", onclick: () => open(one.id) },
      make("span", { className: "text", textContent: one.last || "…" }), make("span", { className: "muted", textContent: note }));
    button.setAttribute("aria-current", one.id === conversation);
    return make("li", {}, button);
  }));
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
