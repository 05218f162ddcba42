// In place of what preload.cjs exposes, as unchangeable: the visitor lets pieces come and settles the question.
(() => {
  const heard = { asked: [], cancelled: [] };
  let listener;
  let settle;
  const model = {
    ask: (id, question, picture) => {
      heard.asked.push({ id, question, bytes: picture?.byteLength });
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
      });
    },
    cancel: (id) => {
      heard.cancelled.push(id);
      settle.resolve({ finishReason: 'cancelled' });
    },
    onPiece: (given) => {
      listener = given;
    },
  };
  const main = {
    heard,
    say: (id, piece) => listener(id, piece),
    end: (how, value) => settle[how](value),
  };
  Object.defineProperties(window, { model: { value: model }, main: { value: main } });
})();
