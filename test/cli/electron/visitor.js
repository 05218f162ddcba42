// Somebody who uses the window: drops a picture, asks, asks and stops, asks in vain. What was seen becomes the page's title.
const { heard, say, end } = window.main;
const find = (selector) => document.querySelector(selector);
const seen = { picture: '', asked: heard.asked, cancelled: heard.cancelled, answers: [], buttons: [] };
/** The id of a question, the first being 1. */
const idOf = (number) => heard.asked[number - 1].id;
const soon = () => new Promise((resolve) => setTimeout(resolve, 50));

async function press() {
  find('#send').click();
  await soon();
  seen.buttons.push(find('#send').textContent);
}

async function settled() {
  await soon();
  seen.buttons.push(find('#send').textContent);
  seen.answers.push(find('#answer').textContent);
}

(async () => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(4)], 'a.png', { type: 'image/png' }));
  find('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
  await soon();
  seen.picture = new URL(find('#picture').src).protocol;
  find('#question').value = 'What is <b>this</b>?';

  await press();
  say(idOf(1), 'A ');
  say(idOf(1), '<b>cat</b>.');
  end('resolve', { text: 'A <b>cat</b>.', finishReason: 'stop' });
  await settled();

  await press();
  say(idOf(2), 'A ');
  find('#send').click();
  await settled();
  say(idOf(1), 'late');

  await press();
  end('reject', new Error('No memory'));
  await settled();
  document.title = encodeURIComponent(JSON.stringify(seen));
})();
