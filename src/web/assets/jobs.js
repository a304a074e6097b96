// Buttons that change jobs: each is confirmed in a window, done by the REST interface, and the page looks again.

import { act, call, focusOn, notice, openDialog, refresh } from './app.js';

const window_ = document.getElementById('confirm');
const reason = document.getElementById('reason');

/** Asks; resolves to the reason (perhaps empty), or to null when it shall not be done. */
function confirmed(button) {
  document.getElementById('question').textContent = button.dataset.question;
  document.getElementById('confirmed').textContent = button.textContent;
  reason.hidden = !('reason' in button.dataset);
  reason.querySelector('input').value = '';
  window_.returnValue = '';
  openDialog(window_, button);
  return new Promise((resolve) => {
    window_.addEventListener('close', () => resolve(window_.returnValue === 'yes' ? reason.querySelector('input').value : null), { once: true });
  });
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-call]');
  if (!button) return;
  const why = await confirmed(button);
  if (why === null) return;
  await act(button, async () => {
    let body = button.dataset.body && JSON.parse(button.dataset.body);
    if ('reason' in button.dataset) body = why ? { reason: why } : {};
    const answer = await call(button.dataset.method, button.dataset.call, body || undefined);
    if (button.dataset.then) {
      location.assign(button.dataset.then);
      return;
    }
    notice(answer?.retried === undefined ? button.dataset.done : `${button.dataset.done}: ${answer.retried}`);
    await refresh();
    // The button may be gone with what it did, or another one may be in its place.
    focusOn(button.id);
  });
});
