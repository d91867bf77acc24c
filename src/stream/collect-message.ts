import { MessageCollector } from '../wires/message-collector.ts'
import type { Message } from './message.ts'
import type { StreamLog } from './stream-log.ts'
import { readInSlices } from './time-slices.ts'

/** The message of one choice, up to the current end of the log. */
export async function collectMessage(log: StreamLog, choice = 0): Promise<Message> {
  const collector = new MessageCollector()
  await readInSlices(log, log.last, ({ events }) => {
    for (const { event } of events) if (event.type === 'delta' && (event.index ?? 0) === choice) collector.add(event)
  })
  return collector.message
}
