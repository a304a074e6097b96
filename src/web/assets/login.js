// Connecting an account: one window that goes through the states of a login. The server has the truth; this asks for it every three seconds, and at
// once when the login's stream says that it moved.
import { call, notice, openDialog, refresh } from './app.js';

const LOGIN = '/api/personal-telegram-accounts/login';
const EVERY = 3000;

const dialog = document.getElementById('login-window');
const part = (name) => document.getElementById(`login-${name}`);
const [code, form, hint, wrong, says, left] = ['code', 'form', 'hint', 'wrong', 'says', 'left'].map(part);
const [password, phone] = ['password', 'phone'].map(part);

/** The login that the window shows: `{ project, since, id, stage, url: of the code that is seen, wanted: of the code that is being loaded, … }`. */
let login;

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action="login"]');
  if (!button) return;
  openDialog(dialog, button);
  begin(button.dataset.project);
});
part('again').addEventListener('click', () => begin(login.project));
dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
dialog.addEventListener('close', end);
addEventListener('pagehide', () => dialog.close());

async function begin(project) {
  end();
  const mine = (login = { project, since: performance.now(), turn: 0 });
  code.hidden = true;
  enter('waiting');
  mine.clock = setInterval(tick, 1000);
  tick();
  try {
    const started = await call('POST', LOGIN, { project_id: Number(project) });
    mine.id = started.login_id;
    if (mine !== login) return cancel(mine); // The window was closed meanwhile.
    follow(mine);
    show(mine, { status: 'ready', ...started });
  } catch (error) {
    if (mine === login) fail(mine, error.message);
  }
}

function follow(mine) {
  mine.poll = setInterval(() => update(mine), EVERY);
  mine.source = new EventSource(`/client/logins/${mine.id}/events`);
  mine.source.addEventListener('change', (event) => {
    mine.stage = event.data.split(' ')[0];
    update(mine);
  });
}

async function update(mine) {
  const turn = ++mine.turn;
  try {
    const status = await call('GET', `${LOGIN}/${mine.id}`);
    if (mine === login && turn === mine.turn && !mine.submitting) show(mine, status);
  } catch (error) {
    if (mine !== login || turn !== mine.turn) return;
    if (error.status === 404) fail(mine, dialog.dataset.lost);
    else say(error.message); // It goes on by itself when the server is back.
  }
}

/** Shows what a status says. */
function show(mine, status) {
  mine.wanted = undefined;
  switch (status.status) {
    case 'ready':
      return draw(mine, status.qr_url);
    case 'pending':
      if (mine.stage === 'scanned') return enter('scanned');
      return enter(mine.stage === 'checking_password' ? 'checking' : 'waiting');
    case 'password_required':
      hint.hidden = !status.password_hint;
      hint.lastElementChild.textContent = status.password_hint ?? '';
      if (status.error || dialog.dataset.state !== 'password') complain(status.error);
      return enter('password');
    case 'completed':
      stop(mine);
      dialog.close();
      notice(`${dialog.dataset.done}: ${status.account?.display_name ?? ''}`);
      return refresh();
    case 'expired':
      return fail(mine, part('error').dataset.expired, 'expired');
    default:
      return fail(mine, status.error ?? '');
  }
}

/** Shows the picture of a code once it is there: the one before stays until then. */
function draw(mine, url) {
  mine.wanted = url;
  if (mine.url === url) return enter('ready');
  const picture = new Image();
  picture.onload = () => {
    if (mine !== login || mine.wanted !== url) return;
    mine.url = url;
    // In a demo: the simulated phone scans the code behind this link.
    if (phone) phone.hash = new URLSearchParams({ scan: url });
    code.src = picture.src;
    code.hidden = false;
    enter('ready');
  };
  mine.pictures = (mine.pictures ?? 0) + 1;
  picture.src = `${LOGIN}/${mine.id}/qr.svg?${mine.pictures}`;
}

function enter(state) {
  const before = dialog.dataset.state;
  if (state === before) return;
  dialog.dataset.state = state;
  for (const element of dialog.querySelectorAll('[data-in]')) element.hidden = !element.dataset.in.split(' ').includes(state);
  part('qr').className = `qr ${state}${code.hidden ? ' empty' : ''}`;
  say(says.dataset[state] ?? '');
  password.readOnly = state === 'checking';
  form.querySelector('button').disabled = state === 'checking';
  if (state === 'password') {
    password.value = '';
    password.focus();
  }
  if (state === 'expired' || state === 'error') part('again').focus();
}

function say(text) {
  if (says.textContent !== text) says.textContent = text;
}

/** What is wrong with a password, or nothing. */
function complain(text) {
  wrong.hidden = !text;
  wrong.textContent = text ?? '';
  if (text) password.setAttribute('aria-invalid', 'true');
  else password.removeAttribute('aria-invalid');
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const mine = login;
  mine.submitting = true;
  complain();
  enter('checking');
  let status;
  try {
    status = await call('POST', `${LOGIN}/${mine.id}/password`, { password: password.value });
  } catch (error) {
    status = { status: 'password_required', error: error.message, password_hint: hint.lastElementChild.textContent };
  }
  mine.submitting = false;
  mine.turn++; // Answers that are under way are older.
  if (mine === login) show(mine, status);
});

function tick() {
  const seconds = Math.max(0, Math.round(dialog.dataset.lifetime - (performance.now() - login.since) / 1000));
  left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** The login has ended: its text, and a button for a new one. */
function fail(mine, text, state = 'error') {
  stop(mine);
  part('error').textContent = text;
  enter(state);
}

function stop(mine) {
  mine.over = true;
  clearInterval(mine.clock);
  clearInterval(mine.poll);
  mine.source?.close();
}

/** Nobody looks at it any more. */
function end() {
  const mine = login;
  login = undefined;
  if (!mine) return;
  if (!mine.over) cancel(mine);
  stop(mine);
  code.removeAttribute('src');
  delete dialog.dataset.state;
}

function cancel(mine) {
  if (mine.id) call('DELETE', `${LOGIN}/${mine.id}`, undefined, { keepalive: true }).catch(() => {});
}
