// The window: a picture is dropped or chosen, a question asked, and the answer appears piece by piece. `window.model` is what preload.cjs
// exposes.
const bridge = window.model;
const drop = document.querySelector('#drop');
const file = document.querySelector('#file');
const picture = document.querySelector('#picture');
const form = document.querySelector('form');
const question = document.querySelector('#question');
const send = document.querySelector('#send');
const answer = document.querySelector('#answer');

let bytes;
/** The id of the last question, which nobody else has: not another window, nor this one before it was reloaded. */
let asked;
let answering = false;

async function show(dropped) {
  if (dropped === undefined) return;
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(dropped);
  bytes = await dropped.arrayBuffer();
}

function setAnswering(now) {
  answering = now;
  send.textContent = now ? 'Stop' : 'Ask';
  answer.setAttribute('aria-busy', String(now));
}

async function ask() {
  asked = crypto.randomUUID();
  answer.className = '';
  answer.textContent = '';
  setAnswering(true);
  try {
    const { text, finishReason } = await bridge.ask(asked, question.value, bytes);
    // What was cancelled keeps the pieces that had come.
    if (finishReason !== 'cancelled') answer.textContent = text;
  } catch ({ message }) {
    answer.className = 'failure';
    answer.textContent = message;
  }
  setAnswering(false);
}

bridge.onPiece((id, piece) => {
  if (id === asked) answer.textContent += piece;
});

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (answering) bridge.cancel(asked);
  else ask();
});

file.addEventListener('change', () => show(file.files[0]));
// Nothing can be dropped where dragging over was not accepted.
drop.addEventListener('dragover', (event) => event.preventDefault());
drop.addEventListener('drop', (event) => {
  event.preventDefault();
  show(event.dataTransfer.files[0]);
});
