// What every page uses: calls of the REST interface with the session's CSRF token, notices, times in the visitor's own zone, windows, live parts.

const csrf = document.querySelector('meta[name="csrf"]')?.content;
export const language = document.documentElement.lang;

/** Calls the REST interface; resolves to the answer's JSON (null for 204), rejects with an Error that can be shown. */
export async function call(method, path, body, options = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      ...options,
      method,
      headers: { 'x-csrf-token': csrf, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error(language === 'en' ? 'The server cannot be reached' : 'Сервер недоступен: проверьте соединение');
  }
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  const json = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw Object.assign(new Error(json?.detail ?? `${answer.status}`), { status: answer.status });
  return json;
}

/** Shows a text for a while; `kind` is `good` or `error`. */
export function notice(text, kind = 'good') {
  const line = document.createElement('p');
  line.className = kind;
  line.textContent = text;
  document.getElementById('notices').append(line);
  setTimeout(() => line.remove(), kind === 'error' ? 10000 : 4000);
}

/** Runs an action of a button: disabled meanwhile, errors shown. */
export async function act(button, action) {
  button.disabled = true;
  button.setAttribute('aria-busy', 'true');
  try {
    return await action();
  } catch (error) {
    notice(error.message, 'error');
  } finally {
    button.disabled = false;
    button.removeAttribute('aria-busy');
    // A disabled button loses the focus: whoever works by keyboard goes on from here.
    if (document.activeElement === document.body) button.focus();
  }
}

/** Puts the focus on what has this id by now, else where the page begins: what had it may have been renewed, or be gone. */
export function focusOn(id) {
  (document.getElementById(id) ?? document.getElementById('main')).focus({ preventScroll: true });
}

/** Opens a window over the page. When it closes, whoever works by keyboard goes on at the button that opened it. */
export function openDialog(dialog, button) {
  dialog.showModal();
  dialog.addEventListener('close', () => focusOn(button.id), { once: true });
}

const day = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });
const exact = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });

/** «5 минут назад» for what is near, a date for what is not. */
function ago(then) {
  const seconds = (then - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(Math.round(seconds), 'second');
  if (size < 3600) return relative.format(Math.round(seconds / 60), 'minute');
  if (size < 86400) return relative.format(Math.round(seconds / 3600), 'hour');
  return day.format(then);
}

/** Writes the times below `root` as the visitor reads them. */
export function times(root = document) {
  for (const time of root.querySelectorAll('time[datetime]')) {
    const then = new Date(time.dateTime);
    if (Number.isNaN(then.getTime())) continue;
    time.textContent = time.dataset.form === 'exact' ? exact.format(then) : ago(then);
    time.title = exact.format(then);
  }
}

/** What the server said last of each live part, before times were written. */
const seen = new WeakMap();
for (const part of document.querySelectorAll('[data-live]')) seen.set(part, part.innerHTML);
times();
setInterval(times, 20000);

/**
 * Keeps the parts of the page with `data-live` current: asks for the page again when its stream (`data-stream` on some element) says that something
 * changed, and puts the new parts in place of the old ones, unless somebody is typing in one.
 */
export async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const part of document.querySelectorAll('[data-live]')) {
    const other = fresh.getElementById(part.id);
    if (!other || other.innerHTML === seen.get(part)) continue;
    if (part.contains(document.activeElement) && document.activeElement.matches('input:not([type=checkbox]), textarea, select')) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : '';
    seen.set(part, other.innerHTML);
    part.innerHTML = other.innerHTML;
    times(part);
    if (focused) focusOn(focused);
    part.dispatchEvent(new CustomEvent('refreshed', { bubbles: true }));
  }
}

// A page that nobody sees does not listen: browsers allow six connections to a server over HTTP/1.1. A stream says at its beginning how things are.
const stream = document.querySelector('[data-stream]');
let source;
let pending;
function listen() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource(stream.dataset.stream);
  source.addEventListener('change', () => {
    clearTimeout(pending);
    pending = setTimeout(() => refresh().catch(() => {}), 50);
  });
}
if (stream) {
  document.addEventListener('visibilitychange', listen);
  listen();
}

// A menu closes when something else is touched, and with Escape.
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.who[open]')) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') for (const menu of document.querySelectorAll('details.who[open]')) menu.open = false;
});
