import type { Activity } from '../client/index.ts'

/** Why a reader was away: a button of this page, or what the SDK says of the connection. */
export type AwayCause = 'cut' | 'slow' | Extract<Activity, { type: 'disconnect' }>['reason']

/** One line of what a reader went through. Times are `performance.now()`, in milliseconds; ids are those on the wire. */
export type Row =
  | { type: 'request'; at: number; method: string; after: number; status?: number }
  /** Frames of one delta each, as many as came without anything else between them. */
  | { type: 'deltas'; at: number; until: number; first: number; last: number }
  | { type: 'merged'; at: number; first: number; last: number }
  | { type: 'heartbeat'; at: number; beats: number[] }
  /** `until`: when an answer came again. */
  | { type: 'away'; at: number; until?: number; after: number; cause: AwayCause; attempts: number }
  | { type: 'done'; at: number; id: number; reason: string; error?: { code: string; message: string } }
  /** An end that no `done` told of. */
  | { type: 'end'; at: number; as: 'cancelled' | 'failed' | 'aborted' }

/** Where the cursor stood after a frame. */
export interface Step {
  at: number
  id: number
  covers: number
}

export interface Figures {
  firstTokenMs: number | undefined
  /** Deltas after the first frame, for each second since it: what was there before this reader came does not count. */
  tokensPerSecond: number | undefined
  /** Events received, merged or not; the stream's last id when nothing is missing. */
  events: number
  frames: number
  merged: number
  bytes: number
  reconnects: number
  heartbeats: number
}

/** Everything that one reader has seen on the wire, from what the SDK reports of it. */
export class ReaderRecord {
  readonly rows: Row[] = []
  readonly steps: Step[] = []
  #startedAt: number | undefined
  #endedAt: number | undefined
  #lastAt = 0
  #lastDeltaAt: number | undefined
  #cause: AwayCause | undefined
  #firstTokenMs: number | undefined
  #events = 0
  #deltas = 0
  #merged = 0
  #bytes = 0
  #reconnects = 0
  #heartbeats = 0

  get startedAt(): number | undefined {
    return this.#startedAt
  }

  /** Undefined while it reads. */
  get endedAt(): number | undefined {
    return this.#endedAt
  }

  get figures(): Figures {
    const [first] = this.steps
    const last = this.#lastDeltaAt
    const seconds = first && last !== undefined ? (last - first.at) / 1000 : 0
    return {
      firstTokenMs: this.#firstTokenMs,
      tokensPerSecond: first && seconds > 0 ? (this.#deltas - first.covers) / seconds : undefined,
      events: this.#events,
      frames: this.steps.length,
      merged: this.#merged,
      bytes: this.#bytes,
      reconnects: this.#reconnects,
      heartbeats: this.#heartbeats,
    }
  }

  /** The page itself is about to close the connection. */
  expectDisconnect(cause: 'cut' | 'slow'): void {
    this.#cause = cause
  }

  add(activity: Activity): void {
    const { at } = activity
    this.#startedAt ??= at
    this.#lastAt = at
    switch (activity.type) {
      case 'request':
        if (!this.#away) this.rows.push({ type: 'request', at, method: activity.method, after: activity.after })
        break
      case 'response':
        this.#onResponse(at, activity.status)
        break
      case 'bytes':
        this.#bytes += activity.bytes
        break
      case 'heartbeat':
        this.#onHeartbeat(at)
        break
      case 'first-token':
        this.#firstTokenMs = activity.afterMs
        break
      case 'frame':
        this.#onFrame(at, activity)
        break
      case 'disconnect':
        this.#cause ??= activity.reason
        break
      case 'reconnect':
        this.#onReconnect(at, activity.attempt)
        break
      case 'end':
        this.#endedAt = at
        if (activity.as !== 'finished' && this.rows.at(-1)?.type !== 'done')
          this.rows.push({ type: 'end', at, as: activity.as })
        break
    }
  }

  /** When the latest thing happened. */
  get lastAt(): number {
    return this.#endedAt ?? this.#lastAt
  }

  /** Attempts to come back, while the reader has no connection and did not hang up to be slow. */
  get attempts(): number | undefined {
    const away = this.#away
    return this.#endedAt === undefined && away && away.cause !== 'slow' ? away.attempts : undefined
  }

  /** The last row, while the reader has no connection. */
  get #away() {
    const row = this.rows.at(-1)
    return row?.type === 'away' && row.until === undefined ? row : undefined
  }

  #onResponse(at: number, status: number): void {
    const row = this.rows.at(-1)
    if (row?.type === 'request') row.status = status
    const away = this.#away
    if (!away || status >= 400) return
    away.until = at
    this.#reconnects += 1
  }

  #onHeartbeat(at: number): void {
    this.#heartbeats += 1
    const row = this.rows.at(-1)
    if (row?.type === 'heartbeat') row.beats.push(at)
    else this.rows.push({ type: 'heartbeat', at, beats: [at] })
  }

  #onFrame(at: number, { event, covers }: Extract<Activity, { type: 'frame' }>): void {
    const { seq: id } = event
    this.#events += covers
    this.steps.push({ at, id, covers })
    if (event.type === 'done') {
      const { finish_reason: reason, error } = event
      this.rows.push({ type: 'done', at, id, reason, ...(error && { error }) })
      return
    }
    this.#deltas += covers
    this.#lastDeltaAt = at
    if (covers > 1) {
      this.#merged += 1
      this.rows.push({ type: 'merged', at, first: id - covers + 1, last: id })
      return
    }
    const row = this.rows.at(-1)
    if (row?.type === 'deltas') Object.assign(row, { until: at, last: id })
    else this.rows.push({ type: 'deltas', at, until: at, first: id, last: id })
  }

  #onReconnect(at: number, attempts: number): void {
    const cause = this.#cause ?? 'lost'
    this.#cause = undefined
    const away = this.#away
    if (away) away.attempts = attempts
    else this.rows.push({ type: 'away', at, after: this.steps.at(-1)?.id ?? 0, cause, attempts })
  }
}
