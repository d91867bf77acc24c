import type { GenerationObserver } from '../stream/generation.ts'
import type { Admission } from './admission.ts'

/** Wraps an observer, so that the stream's tokens are also charged to its admission while they arrive. */
export function chargeFlow(admission: Admission, observer: GenerationObserver): GenerationObserver {
  return {
    firstToken(generation, sinceStart) {
      admission.flowed(generation.log.last)
      observer.firstToken(generation, sinceStart)
    },
    tokens(generation, count, gap) {
      admission.flowed(generation.log.last)
      observer.tokens(generation, count, gap)
    },
    finished: (generation, done, cause) => observer.finished(generation, done, cause),
  }
}
