import type { Done } from './events.ts'
import { Generation, type GenerationOptions } from './generation.ts'

/** The generations that run in this process. */
export class Generations {
  readonly #running = new Map<string, Generation>()
  #onIdle: (() => void)[] = []

  get size(): number {
    return this.#running.size
  }

  start(options: GenerationOptions): Generation {
    const generation = new Generation(options)
    this.#running.set(options.log.info.id, generation)
    void generation.run()
    void this.#forget(generation)
    return generation
  }

  /** Stops a generation for everybody; false when it does not run here. */
  cancel(id: string): boolean {
    const generation = this.#running.get(id)
    generation?.cancel()
    return generation !== undefined
  }

  /** Ends all that run in the same way. */
  endAll(done: Done): void {
    for (const generation of this.#running.values()) generation.cancel(done)
  }

  /** Resolves when none runs. */
  async idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  /** When its log has ended, whatever its provider may still be doing. */
  async #forget(generation: Generation): Promise<void> {
    await generation.ended
    this.#running.delete(generation.log.info.id)
    if (this.#running.size > 0) return
    for (const resolve of this.#onIdle) resolve()
    this.#onIdle = []
  }
}
