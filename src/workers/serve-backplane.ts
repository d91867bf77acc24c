import { Inbox } from '../store/backplane/inbox.ts'
import type { MemoryBackplane } from '../store/backplane/memory-backplane.ts'
import { SHARED, type BackplaneMethods, type WorkerMethods } from './methods.ts'

/** A backplane for one worker. */
export interface ServedBackplane {
  /** `BackplaneMethods`, to be called from afar. */
  readonly methods: object
  /** The worker is gone: its leases end at once, and its inboxes with them. */
  close(): Promise<void>
}

export function serveBackplane(
  open: BackplaneMethods['open'],
  backplane: () => MemoryBackplane,
  deliver: WorkerMethods['deliver'],
): ServedBackplane {
  const leases = new Set<string>()
  const inboxes = new Set<string>()
  const shared = Object.fromEntries(
    SHARED.map((name) => [name, (...args: unknown[]): unknown => Reflect.apply(backplane()[name], backplane(), args)]),
  )
  const own: Omit<BackplaneMethods, (typeof SHARED)[number]> = {
    open,
    renewLease(lease, ms) {
      leases.add(lease)
      return backplane().renewLease(lease, ms)
    },
    endLease(lease) {
      leases.delete(lease)
      return backplane().endLease(lease)
    },
    async listen(inbox) {
      inboxes.add(inbox)
      const delivery = new Delivery((messages, gap) => deliver(inbox, messages, gap))
      backplane().listen(
        inbox,
        (messages) => delivery.add(messages, false),
        () => delivery.add([], true),
      )
    },
  }
  return {
    methods: { ...shared, ...own },
    async close() {
      for (const inbox of inboxes) backplane().closeInbox(inbox)
      await Promise.all([...leases].map((lease) => backplane().endLease(lease)))
    },
  }
}

/** Sends one batch after the other: what a stuck worker does not take waits in an inbox, which is bounded. */
class Delivery {
  readonly #send: (messages: readonly string[], gap: boolean) => Promise<void>
  readonly #inbox = new Inbox()
  #isSending = false

  constructor(send: (messages: readonly string[], gap: boolean) => Promise<void>) {
    this.#send = send
  }

  add(messages: readonly string[], gap: boolean): void {
    this.#inbox.add({ messages, gap })
    if (!this.#isSending) void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    try {
      while (!this.#inbox.isEmpty) {
        const { messages, gap } = this.#inbox.take()
        await this.#send(messages, gap)
      }
    } catch {
      // The worker is gone, and its inbox with it.
    } finally {
      this.#isSending = false
    }
  }
}
