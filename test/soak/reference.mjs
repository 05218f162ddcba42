/** A model that is asked one thing at a time. */
export class Reference {
  #model;
  #last = Promise.resolve();

  constructor(model) {
    this.#model = model;
  }

  /** Runs `work` with the model once all before it are done. */
  use(work) {
    const done = this.#last.then(() => work(this.#model));
    this.#last = done.catch(() => {});
    return done;
  }
}
