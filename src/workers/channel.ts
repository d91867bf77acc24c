import type { Worker } from 'node:cluster'

/** One end of a connection between two processes; messages are copied, and arrive in order. */
export interface Channel {
  send(message: object): void
  onMessage(listener: (message: unknown) => void): void
  /** Called once, when nothing more can be sent or arrive. */
  onClose(listener: () => void): void
}

/** The end of a worker. @throws Error when this process was not started by another one */
export function channelToPrimary(): Channel {
  return {
    send(message) {
      if (!process.send) throw new Error('This process has no primary.')
      // Without a callback, a failure would be an uncaught exception; it means that the channel closes.
      process.send(message, undefined, undefined, () => {})
    },
    onMessage: (listener) => void process.on('message', listener),
    onClose: (listener) => void process.once('disconnect', listener),
  }
}

/** The end of the primary. */
export function channelToWorker(worker: Worker): Channel {
  return {
    send: (message) => void worker.process.send(message, undefined, undefined, () => {}),
    onMessage: (listener) => void worker.on('message', listener),
    onClose: (listener) => void worker.once('disconnect', listener),
  }
}
