import { toNanos } from '../cost.ts'
import type { Done } from '../stream/events.ts'
import type { GenerationObserver } from '../stream/generation.ts'
import type { Admission, Spent } from './admission.ts'

/** Wraps an observer, so that the stream's tokens are also charged to its admission. */
export function chargeStream(admission: Admission, observer: GenerationObserver): GenerationObserver {
  return {
    firstToken(generation, sinceStart) {
      admission.flowed(generation.log.last)
      observer.firstToken(generation, sinceStart)
    },
    tokens(generation, count, gap) {
      admission.flowed(generation.log.last)
      observer.tokens(generation, count, gap)
    },
    finished(generation, done, cause) {
      void admission.settle(spentOf(done, admission.estimate(generation.log.last - 1)))
      observer.finished(generation, done, cause)
    },
  }
}

function spentOf(done: Done, estimate: number): Spent {
  const { usage } = done
  return { tokens: usage ? usage.prompt_tokens + usage.completion_tokens : estimate, cost: toNanos(done.cost ?? 0) }
}
