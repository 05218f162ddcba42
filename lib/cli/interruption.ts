const INTERRUPTED = new Error('Ctrl-C');
const TERMINATED = new Error('SIGTERM');
const CLOSED = new Error('nobody reads stdout any more');

/** What may end a command early: Ctrl-C, SIGTERM, or a reader of stdout that goes away. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #listener = () => this.#handle();
  #handle = () => this.leave();

  /** Aborts when the command has to end. */
  readonly signal: AbortSignal = this.#controller.signal;

  /**
   * Runs a command that ends soon after the signal aborts: with exit code 130 after Ctrl-C, 143 after SIGTERM, silently when nobody reads on.
   * Whatever else it rejects with is passed on.
   */
  static async guard(command: (interruption: Interruption) => Promise<void>): Promise<void> {
    const interruption = new Interruption();
    const close = () => interruption.#controller.abort(CLOSED);
    const terminate = () => interruption.#controller.abort(TERMINATED);
    process.on('SIGINT', interruption.#listener);
    process.once('SIGTERM', terminate);
    process.stdout.once('error', close);
    try {
      await command(interruption);
    } catch (error) {
      if (error === INTERRUPTED) process.exitCode = 130;
      else if (error === TERMINATED) process.exitCode = 143;
      else if (error !== CLOSED) throw error;
    } finally {
      process.off('SIGINT', interruption.#listener);
      process.off('SIGTERM', terminate);
      process.stdout.off('error', close);
    }
  }

  /** What Ctrl-C does from now on, in place of {@link leave}. */
  set onInterrupt(handle: () => void) {
    this.#handle = handle;
  }

  /** Ends the command. Another Ctrl-C finds no listener and ends the process at once. */
  leave(): void {
    process.off('SIGINT', this.#listener);
    this.#controller.abort(INTERRUPTED);
  }
}
