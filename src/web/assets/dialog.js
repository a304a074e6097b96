// A dialog's messages: at the end when the page opens, and kept there while somebody reads the end.

const talk = document.getElementById('talk');
const heard = document.getElementById('heard');
const newest = () => [...talk.querySelectorAll('.message')].at(-1);
let atEnd = 'end' in talk.dataset;
let last = newest()?.dataset.id;

if (atEnd) talk.scrollTop = talk.scrollHeight;
talk.addEventListener('scroll', () => {
  atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
});
talk.addEventListener('refreshed', () => {
  const message = newest();
  if (atEnd) talk.scrollTop = talk.scrollHeight;
  if (message && message.dataset.id !== last) {
    if (last) heard.textContent = `${heard.dataset.text}: ${message.querySelector('.text').textContent}`;
    last = message.dataset.id;
  }
});
