// The simulator's page: plays people's phones and a working group through the control API, and looks again whenever
// /control/events says that the world changed.
"use strict";

const $ = (id) => document.getElementById(id);
const SHOWN = 200; // messages of one conversation
const PAUSE = 400; // milliseconds between two looks at the world

/** What is chosen on the page. */
const chosen = { person: null, peer: null, forum: null, thread: null, reply: null };
/** A login's link that the address brought (`#scan=tg://login?…`): a phone has to be chosen for it. */
let code = null;
/** What the world held at the last look. */
let world = { people: [], chats: [], forums: [], bots: [], topics: [], dialogs: [], messages: [] };

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.error || `Ошибка ${answer.status}`);
  return json;
}

/** Makes an element; strings in `children` become text, never markup. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "hue") element.style.setProperty("--hue", value);
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/** Replaces an element's content only if it would look different, so that selections and scrolling survive. */
function fill(element, children) {
  const next = make("div", {}, ...children);
  if (element.dataset.html === next.innerHTML) return false;
  element.dataset.html = next.innerHTML;
  element.replaceChildren(...next.childNodes);
  return true;
}

let toastTimer;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 4500);
}

const attempt = (action) => async (...given) => {
  try { return await action(...given); } catch (error) { toast(error.message); }
};

// ---- names and small views

const ERRORS = {
  AUTH_TOKEN_EXPIRED: "Код уже устарел: покажите телефону новый.",
  AUTH_TOKEN_INVALID: "Это не ссылка из QR-кода входа.",
  AUTH_TOKEN_ALREADY_ACCEPTED: "Этот код уже подтверждён.",
  TOPIC_CLOSED: "Тема закрыта.",
  USERNAME_OCCUPIED: "Такое имя пользователя уже занято.",
  PHONE_NUMBER_OCCUPIED: "Такой телефон уже есть.",
};
const inRussian = (error) => ERRORS[error.message] || error.message;

const MEDIA = {
  photo: "📷 Фото", video: "🎬 Видео", voice: "🎤 Голосовое сообщение", audio: "🎵 Аудио", document: "📎 Файл", sticker: "🙂 Стикер",
  animation: "🎞 GIF", video_note: "⭕ Видеосообщение", contact: "👤 Контакт", location: "📍 Место", poll: "📊 Опрос",
};

const fullName = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ");

function nameOf(id) {
  const user = world.people.find((person) => person.id === id);
  if (user) return fullName(user);
  const bot = world.bots.find((bot) => bot.id === id);
  if (bot) return `@${bot.username}`;
  const chat = world.chats.find((chat) => (chat.id ?? chat.chat_id) === id);
  return chat ? chat.title : String(id);
}

const hueOf = (id) => (Math.abs(id) * 47) % 360;
const initials = (name) => (name.match(/(?<![\p{L}\p{N}])[\p{L}\p{N}]/gu) || []).slice(0, 2).join("").toUpperCase();
const face = (id, name) => make("span", { class: "face", hue: hueOf(id), "aria-hidden": "true" }, initials(name) || "?");
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("ru", { hour: "2-digit", minute: "2-digit" });

function mediaLine(media) {
  const parts = [MEDIA[media.kind] || media.kind];
  if (media.name) parts.push(media.name);
  if (media.duration != null) parts.push(`${Math.floor(media.duration / 60)}:${String(media.duration % 60).padStart(2, "0")}`);
  return parts.join(" · ");
}

function summary(message) {
  if (!message) return "";
  if (message.service) return serviceLine(message);
  return [message.media && mediaLine(message.media), message.text].filter(Boolean).join(" ");
}

function serviceLine(message) {
  const [kind, data] = Object.entries(message.service)[0] || ["", {}];
  const who = nameOf(message.from);
  switch (kind) {
    case "forum_topic_created": return `${who}: создана тема «${data.name}»`;
    case "forum_topic_edited": return data.name ? `${who}: тема переименована в «${data.name}»` : `${who}: изменён значок темы`;
    case "forum_topic_closed": return `${who}: тема закрыта`;
    case "forum_topic_reopened": return `${who}: тема открыта снова`;
    default: return `${who}: ${kind}`;
  }
}

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre", blockquote: "blockquote",
  expandable_blockquote: "blockquote", spoiler: "span",
};

/** Text with its entities as elements. Offsets are UTF-16 units, as are JavaScript's. */
function rich(text, entities, from = 0, to = text.length, start = 0) {
  const out = document.createDocumentFragment();
  let at = from;
  for (let n = start; n < entities.length; n += 1) {
    const entity = entities[n];
    const end = Math.min(entity.offset + entity.length, to);
    if (entity.offset < at || entity.offset >= to) continue;
    out.append(text.slice(at, entity.offset));
    const inner = rich(text, entities, entity.offset, end, n + 1);
    const url = entity.type === "url" ? text.slice(entity.offset, end) : entity.url;
    if (url && /^(https?|tg):/.test(url)) {
      out.append(make("a", { href: url, target: "_blank", rel: "noreferrer" }, inner));
    } else if (TAGS[entity.type]) {
      out.append(make(TAGS[entity.type], entity.type === "spoiler" ? { class: "spoiler" } : {}, inner));
    } else {
      out.append(inner);
    }
    at = end;
  }
  out.append(text.slice(at, to));
  return out;
}

function bubble(message, all, mine, act) {
  if (message.service) return make("div", { class: "service" }, serviceLine(message));
  const answered = message.reply_to && all.find((other) => other.id === message.reply_to);
  return make(
    "article", { class: mine ? "message mine" : "message", "data-id": message.id },
    !mine && make("span", { class: "who", hue: hueOf(message.from) }, nameOf(message.from)),
    answered && make("span", { class: "quote" }, summary(answered)),
    message.media && make("span", { class: "media" }, mediaLine(message.media)),
    rich(message.text, message.entities || []),
    make("span", { class: "foot" }, message.edited ? "изменено " : "", clock(message.date)),
    message.reactions?.length ? make("span", { class: "reactions" }, message.reactions.map((r) => r.emoji).join(" ")) : null,
    act,
  );
}

function showMessages(element, bubbles, key) {
  const other = element.dataset.key !== key;
  const atEnd = other || element.scrollHeight - element.scrollTop - element.clientHeight < 80;
  element.dataset.key = key;
  const changed = fill(element, bubbles.length ? bubbles : [make("p", { class: "nothing" }, "Сообщений пока нет")]);
  if ((changed || other) && atEnd) element.scrollTop = element.scrollHeight;
}

function row(attributes, picture, name, time, last) {
  return make("li", {}, make("button", { type: "button", ...attributes }, picture, make("span", { class: "name" }, name),
    make("span", { class: "time" }, time || ""), make("span", { class: "last" }, last || " ")));
}

// ---- phones

function showPeople() {
  const wanted = $("find-person").value.trim().toLowerCase();
  const people = world.people.filter((user) => user.id !== 777000
    && (!wanted || `${fullName(user)} ${user.username || ""} ${user.phone || ""}`.toLowerCase().includes(wanted)));
  const rows = people.map((user) => row({ "data-person": user.id, "aria-current": user.id === chosen.person }, face(user.id, fullName(user)),
    fullName(user), user.has_password ? "🔒" : "", user.phone ? `+${user.phone}` : user.username ? `@${user.username}` : "без телефона"));
  fill($("people"), rows.length ? rows : [make("li", { class: "empty" }, wanted ? "Никого не нашлось" : "Добавьте первого человека")]);
}

function showPhone() {
  const user = world.people.find((person) => person.id === chosen.person);
  document.querySelector(".phones").classList.toggle("open", Boolean(user));
  $("write").hidden = !user || chosen.peer == null;
  $("conversation").hidden = Boolean(user) && chosen.peer == null;
  $("dialogs").hidden = !user || chosen.peer != null;
  if (!user) {
    fill($("phone-bar"), [make("h2", {}, "Телефон не выбран")]);
    $("conversation").dataset.html = "";
    $("conversation").replaceChildren(make("p", { class: "nothing" }, "Выберите человека слева: здесь откроется его телефон."));
    return;
  }
  if (chosen.peer != null) {
    fill($("phone-bar"), [make("button", { type: "button", class: "back", "data-act": "close-chat", "aria-label": "К списку чатов" }, "‹"),
      face(chosen.peer, nameOf(chosen.peer)), make("h2", {}, nameOf(chosen.peer), make("small", {}, `телефон: ${fullName(user)}`))]);
    const shown = world.messages.slice(-SHOWN);
    showMessages($("conversation"), shown.map((message) => bubble(message, world.messages, message.from === user.id)), `${user.id}/${chosen.peer}`);
    return;
  }
  fill($("phone-bar"), [make("button", { type: "button", class: "back to-list", "data-act": "close-phone", "aria-label": "К списку людей" }, "‹"),
    face(user.id, fullName(user)), make("h2", {}, fullName(user), make("small", {}, user.has_password ? `2FA · подсказка: ${user.hint || "нет"}` : "без пароля 2FA")),
    make("button", { type: "button", "data-act": "chat" }, "✎ Написать"),
    make("button", { type: "button", "data-act": "scan" }, "▣ QR")]);
  const rows = [...world.dialogs].sort((a, b) => b.last.date - a.last.date).map((dialog) => row({ "data-peer": dialog.peer },
    face(dialog.peer, nameOf(dialog.peer)), nameOf(dialog.peer), clock(dialog.last.date), (dialog.last.from === user.id ? "Вы: " : "") + summary(dialog.last)));
  fill($("dialogs"), rows.length ? rows : [make("li", { class: "empty" }, "Чатов пока нет. Нажмите «Написать», чтобы начать, или «QR», чтобы подтвердить вход.")]);
}

// ---- groups

function showForums() {
  const options = world.forums.map((forum) => make("option", { value: forum.chat_id, selected: forum.chat_id === chosen.forum }, forum.title));
  fill($("forum"), options.length ? options : [make("option", { value: "" }, "групп пока нет")]);
  if (chosen.forum != null) $("forum").value = chosen.forum;
}

const everything = (topic) => [...topic.messages, ...topic.service].sort((a, b) => a.id - b.id);

function showTopics() {
  const rows = world.topics.map((topic) => {
    const all = everything(topic), last = topic.messages.at(-1) || all.at(-1);
    return { last: last ? last.id : 0, view: row({ "data-thread": topic.thread_id, "aria-current": topic.thread_id === chosen.thread },
      make("span", { class: "face topic", "aria-hidden": "true" }, topic.closed ? "🔒" : topic.thread_id === 1 ? "#" : initials(topic.name) || "•"),
      topic.name, last ? clock(last.date) : "", summary(last)) };
  });
  rows.sort((a, b) => b.last - a.last);
  fill($("topics"), rows.length ? rows.map((r) => r.view) : [make("li", { class: "empty" }, "Здесь появятся темы рабочей группы")]);
}

function showTopic() {
  const topic = world.topics.find((topic) => topic.thread_id === chosen.thread);
  const forum = world.forums.find((forum) => forum.chat_id === chosen.forum);
  document.querySelector(".groups").classList.toggle("open", Boolean(topic));
  $("answer").hidden = !topic;
  if (!topic || !forum) {
    chosen.reply = null;
    fill($("topic-bar"), [make("h2", {}, "Тема не выбрана")]);
    showMessages($("topic"), [make("p", { class: "nothing" }, "Выберите тему: здесь можно читать её и отвечать за оператора.")], "none");
    showReply([]);
    return;
  }
  const own = topic.thread_id !== 1;
  fill($("topic-bar"), [make("button", { type: "button", class: "back to-list", "data-act": "close-topic", "aria-label": "К списку тем" }, "‹"),
    make("h2", {}, topic.name, make("small", {}, `${forum.title} · ${topic.closed ? "закрыта" : "открыта"}`)),
    own && make("button", { type: "button", "data-act": "toggle" }, topic.closed ? "Открыть" : "Закрыть"),
    own && make("button", { type: "button", class: "danger", "data-act": "delete" }, "Удалить")]);
  const all = everything(topic);
  const act = (message) => make("button", { type: "button", class: "act", "data-reply": message.id, "aria-label": "Ответить на сообщение" }, "↩");
  showMessages($("topic"), all.slice(-SHOWN).map((message) => bubble(message, all, forum.members.includes(message.from), act(message))), `${chosen.forum}/${chosen.thread}`);
  const select = $("answer").elements.from, before = select.value;
  fill(select, forum.members.map((member) => make("option", { value: member }, nameOf(member))));
  if (before && [...select.options].some((option) => option.value === before)) select.value = before;
  for (const control of $("answer").elements) control.disabled = topic.closed;
  $("answer").elements.text.placeholder = topic.closed ? "Тема закрыта" : "Ответ оператора";
  showReply(all);
}

function showReply(all) {
  const message = all.find((message) => message.id === chosen.reply);
  $("reply").hidden = !message;
  if (message) {
    fill($("reply"), [make("span", {}, `${nameOf(message.from)}: ${summary(message)}`),
      make("button", { type: "button", "data-act": "no-reply", "aria-label": "Не отвечать на сообщение" }, "✕")]);
  }
}

// ---- looking at the world

/** What is chosen stands in the address, so that a reload or a link shows the same. */
function remember() {
  const address = new URLSearchParams({ side: document.body.dataset.side });
  for (const name of ["person", "peer", "forum", "thread"]) if (chosen[name] != null) address.set(name, chosen[name]);
  history.replaceState(null, "", `#${address}`);
}

function recall() {
  const address = new URLSearchParams(location.hash.slice(1));
  for (const name of ["person", "peer", "forum", "thread"]) if (address.has(name)) chosen[name] = Number(address.get(name));
  document.body.dataset.side = address.get("side") === "groups" ? "groups" : "phones";
  code = address.get("scan");
}

function show() {
  remember();
  for (const button of document.querySelectorAll("[data-side-button]")) {
    button.setAttribute("aria-current", button.dataset.sideButton === document.body.dataset.side);
  }
  showPeople(); showPhone(); showForums(); showTopics(); showTopic();
}

let looking = false, again = false;
async function look() {
  if (looking) { again = true; return; }
  looking = true;
  try {
    const { person, peer } = chosen;
    const [people, chats, forums, bots] = await Promise.all(["users", "chats", "forums", "bots"].map((what) => call("GET", `/control/${what}`)));
    if (!forums.some((forum) => forum.chat_id === chosen.forum)) chosen.forum = forums[0]?.chat_id ?? null;
    const { forum } = chosen;
    const none = Promise.resolve([]);
    const [topics, dialogs, messages] = await Promise.all([
      forum == null ? none : call("GET", `/control/forums/${forum}/topics?general=true&last=${SHOWN}`),
      person == null ? none : call("GET", `/control/users/${person}/dialogs`),
      person == null || peer == null ? none : call("GET", `/control/users/${person}/messages?peer=${peer}`).catch(() => []),
    ]);
    world = { people, chats, forums, bots, topics, dialogs, messages };
    show();
    if (code) openScan(code);
    code = null;
  } catch (error) {
    console.warn(error);
  } finally {
    looking = false;
    if (again) { again = false; setTimeout(look, PAUSE); }
  }
}

function listen() {
  const events = new EventSource("/control/events");
  const state = (name, text) => { $("state").className = `state ${name}`; $("state").querySelector("b").textContent = text; };
  events.addEventListener("changed", () => { state("live", "обновляется сама"); look(); });
  events.addEventListener("error", () => state("lost", "нет связи"));
}

// ---- doing things

function pick(selector, event) {
  const element = event.target.closest(selector);
  return element && element.dataset;
}

$("people").addEventListener("click", (event) => {
  const data = pick("[data-person]", event);
  if (data) { chosen.person = Number(data.person); chosen.peer = null; world.dialogs = []; show(); look(); }
});
$("dialogs").addEventListener("click", (event) => {
  const data = pick("[data-peer]", event);
  if (data) openChat(Number(data.peer));
});
$("find-person").addEventListener("input", showPeople);

function openChat(peer) {
  chosen.peer = peer;
  world.messages = [];
  show();
  look();
  $("write").elements.text.focus();
}

$("phone-bar").addEventListener("click", (event) => {
  switch (pick("[data-act]", event)?.act) {
    case "close-chat": chosen.peer = null; show(); look(); break;
    case "close-phone": chosen.person = null; show(); break;
    case "scan": openScan(); break;
    case "chat": openNewChat(); break;
  }
});

$("forum").addEventListener("change", () => { chosen.forum = Number($("forum").value); chosen.thread = null; world.topics = []; show(); look(); });
$("topics").addEventListener("click", (event) => {
  const data = pick("[data-thread]", event);
  if (data) { chosen.thread = Number(data.thread); chosen.reply = null; show(); $("answer").elements.text.focus(); }
});
$("topic-bar").addEventListener("click", attempt(async (event) => {
  const path = `/control/forums/${chosen.forum}/topics/${chosen.thread}`;
  switch (pick("[data-act]", event)?.act) {
    case "close-topic": chosen.thread = null; show(); break;
    case "toggle": {
      const topic = world.topics.find((topic) => topic.thread_id === chosen.thread);
      await call("PATCH", path, { closed: !topic.closed, from: Number($("answer").elements.from.value) || undefined });
      break;
    }
    case "delete":
      if (confirm("Удалить тему со всеми сообщениями?")) { await call("DELETE", path); chosen.thread = null; look(); }
      break;
  }
}));
$("topic").addEventListener("click", (event) => {
  const data = pick("[data-reply]", event);
  if (data) { chosen.reply = Number(data.reply); show(); $("answer").elements.text.focus(); }
});
$("reply").addEventListener("click", (event) => {
  if (pick("[data-act]", event)) { chosen.reply = null; show(); }
});

function composer(form, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try { if (await send(form.elements) !== false) form.elements.text.value = ""; } catch (error) { toast(inRussian(error)); }
    form.elements.text.focus();
  });
  form.elements.text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
}

composer($("write"), async ({ text, kind }) => {
  if (!text.value.trim() && !kind.value) return false;
  const media = kind.value && { kind: kind.value, size: 20000, ...(/voice|video/.test(kind.value) ? { duration: 7 } : {}), ...(kind.value === "document" ? { name: "файл.pdf", mime: "application/pdf" } : {}) };
  await call("POST", "/control/messages", { from: chosen.person, to: chosen.peer, text: text.value, ...(media ? { media } : {}) });
  kind.value = "";
});
composer($("answer"), async ({ text, from }) => {
  if (!text.value.trim()) return false;
  const body = { from: Number(from.value), text: text.value, ...(chosen.reply ? { reply_to: chosen.reply } : {}) };
  await call("POST", `/control/forums/${chosen.forum}/topics/${chosen.thread}/messages`, body);
  chosen.reply = null;
  show();
});

/** A dialog whose "ok" runs `done` and stays open while that fails. */
function ask(dialog, done) {
  const form = dialog.querySelector("form"), error = dialog.querySelector(".error");
  dialog.querySelector('[value="cancel"]').addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try { await done(form.elements); form.reset(); dialog.close(); } catch (problem) { if (error) error.textContent = inRussian(problem); else toast(inRussian(problem)); }
  });
  return () => { if (error) error.textContent = ""; if (!dialog.open) dialog.showModal(); };
}

$("add-person").addEventListener("click", ask($("person"), async (fields) => {
  const body = {};
  for (const name of ["first_name", "last_name", "username", "phone", "password", "hint"]) {
    if (fields[name].value.trim()) body[name] = fields[name].value.trim();
  }
  chosen.person = (await call("POST", "/control/users", body)).id;
  chosen.peer = null;
  look();
}));

const scan = $("scan").querySelector("form").elements;
const showScan = ask($("scan"), async ({ person, url }) => {
  await call("POST", `/control/users/${person.value}/scan`, { url: url.value.trim() });
  toast("Вход подтверждён на телефоне: вернитесь в кабинет");
});
function hintAtScan() {
  const user = world.people.find((person) => person.id === Number(scan.person.value));
  if (!user) $("scan-hint").textContent = "";
  else $("scan-hint").textContent = user.has_password ? `После сканирования спросят пароль 2FA. Подсказка: ${user.hint || "нет"}` : "Пароля 2FA у этого человека нет.";
}
/** Asks which phone shall scan a code; without `url`, for that, too. */
function openScan(url) {
  const people = world.people.filter((user) => user.id !== 777000);
  scan.person.replaceChildren(make("option", { value: "" }, people.length ? "Выберите телефон" : "Сначала добавьте человека"),
    ...people.map((user) => make("option", { value: user.id }, fullName(user))));
  scan.person.value = chosen.person ?? "";
  scan.url.value = url ?? "";
  hintAtScan();
  showScan();
  if (url) scan.person.focus();
}
scan.person.addEventListener("change", hintAtScan);

const showNewChat = ask($("chat"), async ({ peer }) => openChat(Number(peer.value)));
function openNewChat() {
  const people = world.people.filter((user) => user.id !== chosen.person && user.id !== 777000);
  const chats = world.chats.filter((chat) => (chat.members || []).includes(chosen.person));
  $("chat").querySelector("select").replaceChildren(
    ...people.map((user) => make("option", { value: user.id }, fullName(user))),
    ...chats.map((chat) => make("option", { value: chat.id ?? chat.chat_id }, `👥 ${chat.title}`)),
  );
  showNewChat();
}

for (const button of document.querySelectorAll("[data-side-button]")) {
  button.addEventListener("click", () => { document.body.dataset.side = button.dataset.sideButton; show(); });
}

addEventListener("hashchange", () => { recall(); show(); look(); });
recall();
show();
listen();
