import type { Delta, Done, StreamEvent } from '../stream/events.ts'

export interface AnswerWriter {
  writeDelta(delta: Delta): void
  writeDone(done: Done): void
}

/** Writes an event of a log for a protocol with one choice: requests for several are refused. */
export function writeFirstChoice(event: StreamEvent, writer: AnswerWriter): void {
  switch (event.type) {
    case 'delta':
      if ((event.index ?? 0) === 0) writer.writeDelta(event)
      break
    case 'done':
      writer.writeDone(event)
  }
}
