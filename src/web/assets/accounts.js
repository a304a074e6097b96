// The cards of accounts: what they mirror, their names, their removal.
import { act, call, notice, refresh } from './app.js';

const path = (id) => `/api/personal-telegram-accounts/${id}`;

document.addEventListener('change', async (event) => {
  const field = event.target.dataset.field;
  if (!field) return;
  const input = event.target;
  input.setAttribute('aria-busy', 'true');
  try {
    await call('PATCH', path(input.dataset.account), { [field]: input.checked });
  } catch (error) {
    input.checked = !input.checked;
    notice(error.message, 'error');
  } finally {
    input.removeAttribute('aria-busy');
  }
});

/** A window that asks once more; `then` gets the account's id and the form. */
function asks(action, show, then) {
  const dialog = document.getElementById(`${action}-window`);
  const form = dialog.querySelector('form');
  document.addEventListener('click', (event) => {
    const button = event.target.closest(`[data-action="${action}"]`);
    if (!button) return;
    dialog.dataset.account = button.dataset.account;
    show(form, button.dataset.name);
    dialog.showModal();
  });
  dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    act(form.querySelector('[type="submit"]'), async () => {
      await then(dialog.dataset.account, form);
      dialog.close();
      notice(form.dataset.done);
      await refresh();
    });
  });
}

asks(
  'rename',
  (form, name) => {
    form.elements.display_name.value = name;
    requestAnimationFrame(() => form.elements.display_name.select());
  },
  (id, form) => call('PATCH', path(id), { display_name: form.elements.display_name.value }),
);
asks(
  'remove',
  (form, name) => (form.querySelector('[data-name]').textContent = name),
  (id) => call('DELETE', path(id)),
);
