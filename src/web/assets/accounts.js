// The cards of accounts: what they mirror, their names, their proxies, their removal.
import { act, call, notice, openDialog, refresh } from './app.js';

const path = (id) => `/api/personal-telegram-accounts/${id}`;

document.addEventListener('change', async (event) => {
  const field = event.target.dataset.field;
  if (!field) return;
  const input = event.target;
  input.setAttribute('aria-busy', 'true');
  try {
    await call('PATCH', path(input.closest('[data-account]').dataset.account), { [field]: input.checked });
  } catch (error) {
    input.checked = !input.checked;
    notice(error.message, 'error');
  } finally {
    input.removeAttribute('aria-busy');
  }
});

/** A window behind the button `action` of a card: `show` and `then` get what the card says of itself (`dataset`) and the form; what goes wrong
 * stands in the form. `then` may return what to say instead of «done». */
function asks(action, show, then) {
  const dialog = document.getElementById(`${action}-window`);
  const form = dialog.querySelector('form');
  const wrong = form.querySelector('[role="alert"]');
  let card;
  document.addEventListener('click', (event) => {
    const button = event.target.closest(`[data-action="${action}"]`);
    if (!button) return;
    card = { ...button.closest('[data-account]').dataset };
    form.reset();
    wrong.hidden = true;
    for (const name of form.querySelectorAll('strong[data-name]')) name.textContent = card.name;
    show(card, form);
    openDialog(dialog, button);
  });
  dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    wrong.hidden = true;
    act(event.submitter, async () => {
      let said;
      try {
        said = await then(card, form, event.submitter.value);
      } catch (error) {
        wrong.textContent = error.message;
        wrong.hidden = false;
        return;
      }
      dialog.close();
      form.reset();
      notice(said ?? form.dataset.done);
      await refresh();
    });
  });
}

asks(
  'rename',
  (card, form) => {
    form.elements.display_name.value = card.name;
    requestAnimationFrame(() => form.elements.display_name.select());
  },
  async (card, form) => void (await call('PATCH', path(card.account), { display_name: form.elements.display_name.value })),
);
asks(
  'proxy',
  (card, form) => {
    const now = document.getElementById('proxy-now');
    now.hidden = form.querySelector('[value="remove"]').hidden = !card.proxy;
    now.querySelector('code').textContent = card.proxy ?? '';
  },
  async (card, form, choice) => {
    const proxy = `${path(card.account)}/proxy`;
    if (choice !== 'remove') return void (await call('PUT', proxy, { url: form.elements.url.value.trim() }));
    await call('DELETE', proxy);
    return form.dataset.removed;
  },
);
asks(
  'remove',
  () => {},
  async (card) => void (await call('DELETE', path(card.account))),
);
