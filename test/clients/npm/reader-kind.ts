import type { Journal } from '../../support/cutting-proxy.ts'

/** What is read. */
export interface Target {
  /** `/v1/chat` for a client that can POST, the stream's own for one that can only GET. */
  url: string
  /** What a client that can POST says. */
  post?: { idempotencyKey: string; body: string }
  /** Whether it leaves the connection's end to the gateway, and does not close itself at `done`. */
  leftOpen?: boolean
  /** For the one client that can leave while nobody sees its page. */
  closesWhenHidden?: boolean
  /** It uses the cursor of its package. */
  ownCursor?: boolean
}

export type Heard =
  /** Connected; `stream` is where the stream can be stopped, if the client shows the headers that tell it. */
  | { type: 'open'; stream?: string | null | undefined }
  /** Anything that the client took for an event. */
  | { type: 'event'; name: string; id: string | null | undefined; data: string }

/** Reads with one client library, as its user would write it; what is returned closes it. */
export type Read = (target: Target, hear: (heard: Heard) => void) => () => void

/** Who heard it: readings are counted from 0. */
export type Report = Heard & { reading: number }

/** A client where it runs. */
export interface OpenedClient {
  reports: Journal<Report>
  read(reading: number, target: Target): Promise<void>
  close(reading: number): Promise<void>
}

export interface ReaderKind {
  /** Of the package. */
  name: string
  posts: boolean
  /** What it asks after an end at which nobody closed it, as cursor and answer; undefined when it goes on asking. */
  askedAfterEnd?: [cursor: string, status: number][]
  /** To be served at `/` of the gateway's origin. */
  page: () => Promise<string>
  open(url: string): Promise<OpenedClient>
}
