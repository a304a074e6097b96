// Forms that are calls of the REST interface: `data-method`, `data-path`, fields by their names. An empty choice of `data-number` is null.
// `data-then`: a page to go to, with `{id}` of the answer; else the page's live parts are asked for again.
import { act, call, notice, refresh } from './app.js';

function body(form) {
  const fields = [...form.elements].filter((field) => field.name && !field.disabled);
  return Object.fromEntries(
    fields.map((field) => [field.name, 'number' in field.dataset ? (field.value === '' ? null : Number(field.value)) : field.value.trim()]),
  );
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (!form.dataset.method) return;
  event.preventDefault();
  const wrong = form.querySelector('[role="alert"]');
  wrong.hidden = true;
  act(event.submitter ?? form.querySelector('[type="submit"]'), async () => {
    let answer;
    try {
      answer = await call(form.dataset.method, form.dataset.path, body(form));
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
      return;
    }
    if (form.dataset.then) {
      const page = new URL(form.dataset.then.replaceAll('{id}', answer.id), location.href);
      const here = page.pathname === location.pathname && page.search === location.search;
      location.assign(page);
      if (here) location.reload();
      return;
    }
    for (const secret of form.querySelectorAll('input[data-secret]')) secret.value = '';
    // The part around it is about to be replaced: the focus stays there.
    const part = form.closest('[data-live]');
    if (part) part.tabIndex = -1;
    part?.focus();
    notice(form.dataset.done);
    await refresh();
  });
});
